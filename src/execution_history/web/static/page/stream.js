// The stream of what happens in the history: opened anew, ever more rarely, when it is refused or breaks.
const ADDRESS = "/coze/history/live";
// What is not open by then may wait behind other connections: pages ask instead, and it is tried again later.
const PATIENCE = 5000;
const PAUSE = 1000;
const LONGEST_PAUSE = 60000;

export class Stream {
  isOpen = false;
  #tell;
  #source = null;
  #timer = 0;
  #opened = 0;
  #failures = 0;

  /** `tell` hears `{kind: "open"}`, `{kind: "down"}` and every event as `{kind, workflow_id, execute_id}`. */
  constructor(tell) {
    this.#tell = tell;
  }

  start() {
    if (this.#source) return;
    this.#failures = 0;
    this.#connect();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#source?.close();
    this.#source = null;
    this.isOpen = false;
  }

  #connect() {
    const source = new EventSource(ADDRESS);
    this.#source = source;
    this.#waitFor();
    source.onopen = () => {
      clearTimeout(this.#timer);
      this.#opened = Date.now();
      this.isOpen = true;
      this.#tell({ kind: "open" });
    };
    source.onerror = () => this.#broke(source);
    for (const kind of ["put", "delete", "reset"]) source.addEventListener(kind, (event) => this.#heard(event));
  }

  #heard(event) {
    this.#failures = 0;
    const { workflow_id, execute_id } = JSON.parse(event.data);
    this.#tell({ kind: event.type, workflow_id, execute_id });
  }

  #broke(source) {
    const wasOpen = this.isOpen;
    const hasLasted = wasOpen && Date.now() - this.#opened > PATIENCE;
    if (hasLasted) this.#failures = 0;
    this.isOpen = false;
    if (wasOpen) this.#tell({ kind: "down" });
    // After a break the browser goes on by itself, behind the last event that it heard (Last-Event-ID); after a refusal
    // it does not, and one that breaks at once is not worth a connection every second.
    if (source.readyState === EventSource.CLOSED || (wasOpen && !hasLasted)) this.#later();
    else if (wasOpen) this.#waitFor();
  }

  #waitFor() {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#later(), PATIENCE);
  }

  #later() {
    clearTimeout(this.#timer);
    this.#source.close();
    const pause = Math.min(LONGEST_PAUSE, PAUSE * 2 ** this.#failures);
    this.#failures += 1;
    this.#timer = setTimeout(() => this.#connect(), pause * (0.75 + Math.random() / 2));
  }
}
