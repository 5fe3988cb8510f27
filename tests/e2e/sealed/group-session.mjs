// Stands in for the group's protocol: the test dictates what the ring does, so that keys can be wrong or late.

const GENERATION = "0000000000000000"; // all that is dictated is of this one

export class GroupSession {
  #ring;
  #changed;
  #state = { phase: "none", generation: null, epoch: null, sending: null, members: [], kept: null, failure: null };

  constructor({ ring, changed }) {
    this.#ring = ring.generation(GENERATION);
    this.#changed = changed;
  }

  receive({ steps }) {
    for (const [what, how] of steps ?? []) {
      if (what === "install") this.#ring.install({ epoch: how.epoch, baseKey: new Uint8Array(32).fill(how.key) });
      else if (what === "state") {
        this.#state = { ...this.#state, ...how };
        this.#ring.people(how);
      }
      else if (what === "drop") this.#ring.drop(how);
      else if (what === "clear") this.#ring.clear();
      else if (what === "sendOn") this.#ring.sendOn(how);
      else throw new Error(what);
      this.#changed(this.#state);
    }
  }

  remove() {}
  admit() {}
  keep() {}
  reconnected() {}
  inside() {}
  async settled() {}
  async seal() {}
  resync() {}
  close() {}
}
