// One stream for all tabs: a browser has six connections to a server, and a stream keeps one of them.
import { Stream } from "./stream.js";

const tabs = new Set();
const stream = new Stream((message) => {
  for (const tab of tabs) tab.postMessage(message);
});

self.onconnect = ({ ports: [tab] }) => {
  tab.onmessage = ({ data }) => {
    if (data === "join") {
      tabs.add(tab);
      stream.start();
      if (stream.isOpen) tab.postMessage({ kind: "open" });
    } else {
      tabs.delete(tab);
      if (!tabs.size) stream.stop();
    }
  };
};
