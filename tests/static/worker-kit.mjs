// In place of the browser's workers: they note what they are told, and say what a test makes them say.

/** @type {FakeWorker[]} all that were started, oldest first; a test file empties it before each test */
export const started = [];

export class FakeWorker {
  told = [];
  ended = false;

  constructor() {
    started.push(this);
  }

  postMessage(message) {
    if (!this.ended) this.told.push(message);
  }

  terminate() {
    this.ended = true;
  }

  says(data) {
    this.onmessage({ data });
  }

  /** What it was told of one type. */
  of(type) {
    return this.told.filter((message) => message.type === type);
  }
}
