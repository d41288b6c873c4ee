// What keeps a page up to date: the stream of events, shared by all tabs, and asking now and then where there is none.
import { Stream } from "./stream.js";

// What comes in a rush is asked for once.
const BREATH = 50;
const GAP = 800;
const LONGEST_PAUSE = 15000;
const LONGEST_TROUBLE = 60000;
// A connection can be dead without anybody having said so.
const ANYHOW = 60000;

const followers = [];
let source = null;
let isStreaming = false;
let hasStreamed = false;

/**
 * Calls `ask` when something happens that it `wants` to know, when something may have been missed, and now and then.
 *
 * @param wants whether an event, `{kind, workflow_id, execute_id}`, is about what is shown.
 * @param ask brings the page up to date; given whether something was told of or missed (`true`), or it is only time to
 *   look at what goes on (`false`). Returns whether something was new, or `undefined` to be asked again soon; throws when the server is away.
 * @param pause how many milliseconds to wait at least between two questions where there is no stream.
 * @param gap how many milliseconds to wait at least between two questions where there is one.
 */
export function follow(wants, ask, pause, gap = GAP) {
  followers.push(new Follower(wants, ask, pause, gap));
  if (followers.length > 1) return;
  source = connect();
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : wake()));
  window.addEventListener("pagehide", rest);
  window.addEventListener("pageshow", (event) => event.persisted && wake());
  if (!document.hidden) begin();
}

function begin() {
  source.start();
  for (const each of followers) each.due(each.pause);
}

/** A tab that is shown again has missed whatever happened. */
function wake() {
  source.start();
  for (const each of followers) each.told();
}

/** A tab that nobody sees needs no connection and asks for nothing. */
function rest() {
  isStreaming = false;
  source.stop();
  for (const each of followers) each.rest();
}

function hear(message) {
  if (document.hidden) return;
  if (message.kind === "open" || message.kind === "down") {
    isStreaming = message.kind === "open";
    for (const each of followers) {
      if (!isStreaming) each.due(each.pause);
      else if (hasStreamed) each.told();
      // What happened between the page and its first stream is hardly anything: only what goes on is asked for.
      else each.due(BREATH);
    }
    hasStreamed ||= isStreaming;
    return;
  }
  for (const each of followers) if (message.kind === "reset" || each.wants(message)) each.told();
}

function connect() {
  // Where there are no shared workers, on some phones, there are no other tabs to be seen either.
  if (!window.SharedWorker) return new Stream(hear);
  try {
    const worker = new SharedWorker(new URL("worker.js", import.meta.url), { type: "module" });
    worker.port.onmessage = ({ data }) => hear(data);
    worker.onerror = () => {
      source = new Stream(hear);
      if (!document.hidden) source.start();
    };
    return { start: () => worker.port.postMessage("join"), stop: () => worker.port.postMessage("leave") };
  } catch {
    return new Stream(hear);
  }
}

class Follower {
  #shortest;
  #ask;
  #gap;
  #timer = 0;
  #at = Infinity;
  #asked = -Infinity;
  #isAsking = false;
  #isTold = false;

  constructor(wants, ask, pause, gap) {
    this.wants = wants;
    this.#gap = gap;
    this.#ask = ask;
    this.#shortest = this.pause = pause;
  }

  told() {
    this.#isTold = true;
    this.due(Math.max(BREATH, this.#asked + this.#gap - performance.now()));
  }

  /** Asks in so many milliseconds, or earlier where that is due already. */
  due(delay) {
    const at = performance.now() + delay;
    if (at >= this.#at) return;
    clearTimeout(this.#timer);
    this.#at = at;
    this.#timer = setTimeout(() => this.#run(), delay);
  }

  rest() {
    clearTimeout(this.#timer);
    this.#at = Infinity;
  }

  async #run() {
    this.#at = Infinity;
    // What becomes due meanwhile waits for the answer.
    if (this.#isAsking) return this.due(GAP);
    const isTold = this.#isTold;
    this.#isAsking = true;
    this.#isTold = false;
    this.#asked = performance.now();
    let next = this.#gap;
    try {
      const isNew = await this.#ask(isTold);
      if (isNew === undefined) this.#isTold ||= isTold;
      else {
        this.pause = isNew ? this.#shortest : Math.min(LONGEST_PAUSE, this.pause * 1.2);
        next = isStreaming ? ANYHOW : this.pause;
      }
    } catch {
      this.#isTold ||= isTold;
      next = this.pause = Math.min(LONGEST_TROUBLE, this.pause * 2);
    }
    this.#isAsking = false;
    if (!document.hidden) this.due(next);
  }
}
