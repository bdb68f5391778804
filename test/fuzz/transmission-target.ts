// The transmission phase on the simulated reactor: clients in every mode, in pieces, in any order in which I/O can end,
// with a disk that fails; judged by the reply reader, the witness, a model of the disk and what the server gives back.

import type { Reply } from '../transmission/reply-reader.js';
import {
  type PeerTerms,
  type SimulatedPeer,
  Simulation,
  type SimulationOptions,
} from '../transmission/simulation.js';
import { type FuzzCase, type Step, setting } from './case.js';
import { type Change, DiskModel, fillDisk } from './disk-model.js';
import { stepBytes } from './encode.js';
import * as generate from './generate.js';
import { Lane, type Sent } from './lane.js';
import type { Grammar } from './mutate.js';
import { bucket, type Outcome, type Target } from './target.js';
import { ESHUTDOWN, possibleErrors } from './verdict.js';

const DEFAULT_SIZE = 131_075;
const LARGEST_SIZE = 16 << 20;
/** More turns than any case can need: it does not come to rest. */
const MOST_TURNS = 300_000;
/** Longer than a client may stand still while others wait. */
const PATIENCE_MS = 11_000;
const LINUX_ERRORS = [5, 28, 122];
const [WRITE, TRIM, WRITE_ZEROES] = [1, 4, 6];

const ground = (sizeBytes: number): generate.Ground => ({
  sizeBytes,
  largestPayload: Math.min(sizeBytes, 300_000),
});

export const transmissionGrammar: Grammar = {
  fresh: (random) => generate.transmissionCase(random, ground),
  step: (random) => {
    if (random.oneIn(4)) return generate.happening(random);
    if (random.oneIn(6)) return { kind: 'peer', peer: 1 + random.below(4) };
    if (random.oneIn(10)) return generate.arrival(random, 1 + random.below(4));
    if (random.oneIn(30)) return { kind: 'bytes', bytes: generate.anyBytes(random, 80) };
    return random.oneIn(30) ? generate.disconnect() : generate.request(random, ground(DEFAULT_SIZE));
  },
  settings: {
    seed: ['#'],
    cut: ['0', '1', '#', '#'],
    unit: ['0', '512', '4096', '65536'],
    size: ['131075', '200003', '262144', '4096'],
    sparse: ['0', '1'],
    zeroing: ['fast', 'slow', 'unsupported'],
    errors: ['0', '2', '10'],
    requests: ['2', '4', '16', '64'],
    memory: ['1572864', '2097152', '8388608'],
    cookies: ['own', 'own', 'own', 'any'],
  },
  mostSteps: 60,
};

/** `lenient` lets pass what a server only SHOULD do. */
export function transmissionTarget(lenient = false): Target {
  return {
    name: 'transmission',
    grammar: transmissionGrammar,
    parallel: 1,
    run(fuzzCase) {
      let run: Run | undefined;
      try {
        run = new Run(fuzzCase, lenient);
        run.play();
      } catch (error) {
        return { fault: `throws ${(error as Error).stack}`, features: [] };
      }
      return { fault: run.fault, features: [...run.met] };
    },
    check: () => Promise.resolve(undefined),
    close: () => Promise.resolve(),
  };
}

/** One connection, and what was found out about its bytes before they are sent. */
interface Connected {
  readonly peer: SimulatedPeer;
  readonly lane: Lane;
  readonly terms: PeerTerms;
  readonly waiting: Map<bigint, Asked[]>;
  /** The server may answer ESHUTDOWN. */
  stopping: boolean;
  lastMet: string;
}

interface Asked {
  readonly sent: Sent;
  readonly change: Change | undefined;
}

class Run {
  fault: string | undefined;
  readonly met = new Set<string>();
  readonly #case: FuzzCase;
  readonly #simulation: Simulation;
  readonly #lenient: boolean;
  readonly #failing: boolean;
  readonly #anyCookies: boolean;
  readonly #model: DiskModel;
  readonly #all: Connected[] = [];
  #now = 0;

  constructor(fuzzCase: FuzzCase, lenient: boolean) {
    this.#case = fuzzCase;
    this.#lenient = lenient;
    this.#failing = setting(fuzzCase, 'errors', 0) > 0;
    this.#anyCookies = fuzzCase.settings.cookies === 'any';
    this.#simulation = new Simulation(optionsOf(fuzzCase));
    const fill = setting(fuzzCase, 'fill', 0);
    if (fill > 0) fillDisk(this.#simulation.image, fill);
    this.#model = new DiskModel(this.#simulation.image);
  }

  play(): void {
    const lanes = plan(this.#case, this.#anyCookies);
    const connected = new Map<Lane, Connected>();
    for (const [number, step] of this.#case.steps.entries()) {
      const lane = lanes[number]!;
      let client = connected.get(lane);
      if (!client) {
        client = this.#connect(lane);
        connected.set(lane, client);
      }
      this.#now++;
      this.#do(step, number, client);
    }
    this.#settle();
    this.#checkAnswers();
    this.#leaveAll();
  }

  #connect(lane: Lane): Connected {
    const terms: PeerTerms = { replies: lane.mode, metaContexts: lane.contexts };
    const peer = this.#simulation.connect(terms);
    if (this.#lenient) peer.reader.terms = { ...peer.reader.terms, lenient: true };
    const connected: Connected = { peer, lane, terms, waiting: new Map(), stopping: false, lastMet: '' };
    peer.onReply = (reply) => this.#answered(connected, reply);
    this.#all.push(connected);
    return connected;
  }

  #do(step: Step, number: number, client: Connected): void {
    const { peer } = client;
    const simulation = this.#simulation;
    switch (step.kind) {
      case 'wait':
        this.#turns(step.count === 0 ? MOST_TURNS : step.count);
        break;
      case 'leave':
        peer.hasLeft = true;
        break;
      case 'stall':
        peer.appetite = step.bytes;
        break;
      case 'resume':
        peer.appetite = Number.POSITIVE_INFINITY;
        break;
      case 'tick':
        this.#tick(step.ms);
        break;
      case 'stop':
        for (const each of this.#all) {
          if (!each.peer.isClosed) simulation.transmission.refuseNew(each.peer.client);
          each.stopping = true;
        }
        break;
      default:
        for (const { bytes, completes } of client.lane.pieces(number)) {
          for (const sent of completes) this.#ask(client, sent);
          if (!peer.isClosed && !peer.hasLeft) peer.push(bytes);
        }
    }
  }

  #ask(client: Connected, sent: Sent): void {
    const { request } = sent;
    if (client.peer.isClosed || client.peer.hasLeft) return;
    const change = this.#mayChange(client, sent);
    const asked = { sent, change };
    const same = client.waiting.get(request.cookie);
    if (same) same.push(asked);
    else client.waiting.set(request.cookie, [asked]);
    client.peer.reader.expect(request);
  }

  #mayChange(client: Connected, { request, begun }: Sent): Change | undefined {
    const { type } = request;
    if (type !== WRITE && type !== TRIM && type !== WRITE_ZEROES) return undefined;
    if (!possibleErrors(request, this.#termsOf(client)).has(0)) return undefined;
    const bytes =
      type === WRITE ? (request.payload ?? Buffer.alloc(0)) : type === TRIM ? undefined : ('zeroes' as const);
    return this.#model.begin(Number(request.offset), Number(request.length), bytes, begun ?? this.#now);
  }

  #answered(client: Connected, reply: Reply): void {
    const same = client.waiting.get(reply.cookie);
    const asked = same?.shift();
    if (same?.length === 0) client.waiting.delete(reply.cookie);
    if (!asked) return;
    const { request } = asked.sent;
    const possible = possibleErrors(request, this.#termsOf(client));
    const isStopped = client.stopping && reply.error === ESHUTDOWN;
    if (!possible.has(reply.error) && !isStopped && !this.#anyCookies)
      this.#complain(
        `command ${request.type}, flags ${request.flags}, ${request.offset} +${request.length} is answered ${reply.error}, not ${[...possible].join(' or ')}`,
      );
    // Of requests with one cookie nobody knows which it was that is answered.
    const change = this.#anyCookies ? undefined : asked.change;
    if (change && reply.error === 0) change.done = this.#now;
    else if (change && !(reply.error === 5 || reply.error === 28)) this.#model.forget(change);
    this.#note(client, reply, request.type, request.flags ?? 0);
  }

  #note(client: Connected, reply: Reply, type: number, flags: number): void {
    const extents = [...reply.contexts.values()].map((each) => bucket(each.length)).join();
    const name = `${client.peer.mode} ${type > 8 ? 'x' : type} ${flags & 0x3f} ${reply.error}`;
    this.met.add(
      `${name} ${bucket(reply.pieces)} ${bucket(reply.holes.length)} ${bucket(reply.chunks)} ${extents}`,
    );
    this.met.add(`${client.lastMet} > ${client.peer.mode} ${type} ${reply.error}`);
    client.lastMet = `${type} ${reply.error}`;
  }

  #turns(count: number): void {
    const rests = this.#simulation.run(count);
    if (!rests && count >= MOST_TURNS) this.#complain('it does not come to rest');
    for (const { peer } of this.#all) {
      const { client } = peer;
      if (!peer.isClosed)
        this.met.add(
          `${client.replies} expects ${client.expect}, is ${client.status}, ${client.waiting ? 'waits' : ''} ${client.streaming >= 0 ? 'streams' : ''} ${client.firstReady >= 0 ? 'queues' : ''} ${bucket(peer.sends.length)}`,
        );
    }
  }

  /** Time passes, as far as clients that stand still are concerned. */
  #tick(ms: number): void {
    this.#clock += ms;
    const clients = this.#simulation.peers.flatMap((peer) => (peer && !peer.isClosed ? [peer.client] : []));
    this.#simulation.transmission.endStalled(clients, this.#clock);
  }
  #clock = 0;

  /** All clients take their replies; those that hold something up with half a payload may be ended. */
  #settle(): void {
    this.#turns(MOST_TURNS);
    for (const { peer } of this.#all) peer.appetite = Number.POSITIVE_INFINITY;
    this.#turns(MOST_TURNS);
    for (let i = 0; i < 4 && this.#all.some(({ peer }) => peer.client.waiting && !peer.isClosed); i++) {
      this.#tick(PATIENCE_MS);
      this.#turns(MOST_TURNS);
    }
  }

  #checkAnswers(): void {
    for (const { peer, lane } of this.#all) {
      const { reader, client, isClosed, hasLeft } = peer;
      const reason = client.reason.replaceAll(/0x[0-9a-f]+|\d+/g, 'N');
      if (isClosed) this.met.add(`closed: ${reason}`);
      if (reader.fault !== undefined && !this.#anyCookies)
        this.#complain(`peer ${lane.number}: ${reader.fault}`);
      if (hasLeft || this.#anyCookies) continue;
      if (isClosed && !this.#mayClose(lane, client.reason))
        this.#complain(`dropped without a reason: ${client.reason}`);
      if (!isClosed && lane.ends) this.#complain(`the connection should have ended: ${lane.ends}`);
      if (!isClosed && reader.outstanding > 0)
        this.#complain(`peer ${lane.number}: ${reader.outstanding} requests without a reply`);
      if (isClosed && lane.ends === 'disc' && client.reason === 'disconnected' && reader.outstanding > 0)
        this.#complain(`peer ${lane.number}: DISC, and ${reader.outstanding} requests without a reply`);
      if (!isClosed && !reader.atBoundary) this.#complain(`peer ${lane.number}: a reply that does not end`);
    }
  }

  #mayClose(lane: Lane, reason: string): boolean {
    if (lane.ends) return true;
    // X4: a simple reply that has begun has no room for an error.
    if (this.#failing && lane.mode === 'simple' && reason.startsWith('a read failed')) return true;
    return reason.startsWith('it stood still');
  }

  #leaveAll(): void {
    for (const { peer } of this.#all) peer.hasLeft = true;
    this.#turns(MOST_TURNS);
    const { faults, isAtRest, image } = this.#simulation;
    if (faults.length > 0) this.#complain(faults[0]!);
    if (!isAtRest) {
      const held = this.#simulation.freeAtRest - this.#simulation.slab.freeBytes;
      this.#complain(`something is not given back: ${held} bytes`);
    }
    const wrong = this.#model.compare(image);
    if (wrong !== undefined) this.#complain(wrong);
  }

  #termsOf({ lane }: Connected) {
    const { sizeBytes, readOnly } = this.#simulation.target;
    return { mode: lane.mode, contexts: lane.contexts, sizeBytes, readOnly, failing: this.#failing };
  }

  #complain(fault: string): void {
    this.fault ??= fault;
  }
}

/** Which connection each step belongs to, and all bytes of each. */
function plan(fuzzCase: FuzzCase, keepCookies: boolean): Lane[] {
  const cut = setting(fuzzCase, 'cut', 0);
  const open = new Map<number, Lane>();
  const lanes: Lane[] = [];
  let number = 1;
  for (const [at, step] of fuzzCase.steps.entries()) {
    if (step.kind === 'peer') number = step.peer;
    let lane = open.get(number);
    if (!lane) {
      const terms = step.kind === 'peer' ? step : {};
      lane = new Lane(number, terms, cut);
      open.set(number, lane);
    }
    lanes.push(lane);
    lane.add(at, stepBytes(step, lane.mode, at));
    if (step.kind === 'leave') open.delete(number);
  }
  for (const lane of new Set(lanes)) lane.scan(keepCookies);
  return lanes;
}

function optionsOf(fuzzCase: FuzzCase): SimulationOptions {
  const { zeroing } = fuzzCase.settings;
  const errors = setting(fuzzCase, 'errors', 0);
  const unitBytes = setting(fuzzCase, 'unit', 512);
  // A disk has at least one unit.
  const sizeBytes = Math.min(Math.max(setting(fuzzCase, 'size', DEFAULT_SIZE), 1), LARGEST_SIZE);
  let operations = setting(fuzzCase, 'seed', 1);
  const fault = () => {
    operations = (Math.imul(operations, 1664525) + 1013904223) >>> 0;
    return (operations >>> 8) % errors === 0 ? LINUX_ERRORS[(operations >>> 4) % LINUX_ERRORS.length]! : 0;
  };
  return {
    sizeBytes,
    unitBytes: [512, 4096, 65_536].includes(unitBytes) ? unitBytes : 0,
    seed: setting(fuzzCase, 'seed', 1),
    requests: Math.max(2, setting(fuzzCase, 'requests', 64)),
    memoryBytes: Math.max(3 << 19, setting(fuzzCase, 'memory', 2 << 20)),
    readOnly: fuzzCase.settings.readOnly === '1',
    sparse: fuzzCase.settings.sparse === '1',
    ...(zeroing === 'slow' || zeroing === 'unsupported' ? { zeroing } : {}),
    ...(errors > 0 ? { fault } : {}),
  };
}

export type { Outcome };
