// What a running server says of its connections and requests: in the log, and on the channels.

import { type ChannelListener, subscribe, unsubscribe } from 'node:diagnostics_channel';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { createServer } from '../../src/index.js';
import { LINES } from '../../src/log/lines.js';
import { MiB, scratch, sparseFile } from '../support/files.js';
import { must } from '../support/programs.js';
import { serve } from '../support/server.js';
import { slowWrites } from '../support/slow-writes.js';
import { memoryLog, start } from '../transmission/in-process.js';
import { optionBytes, RawClient } from '../transmission/raw-client.js';
import { READ, WRITE } from '../transmission/wire.js';

const WAIT_MS = 20_000;
const ABORT = 2;

async function until(what: () => boolean): Promise<void> {
  const deadline = Date.now() + WAIT_MS;
  while (!what()) {
    if (Date.now() > deadline) throw new Error('it did not come about');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** What comes on these channels while the test runs. */
function heard(
  t: Test,
  ...names: readonly string[]
): { readonly channel: string; readonly fields: unknown }[] {
  const messages: { channel: string; fields: unknown }[] = [];
  const listen: ChannelListener = (fields, channel) =>
    void messages.push({ channel: String(channel), fields });
  for (const name of names) {
    subscribe(name, listen);
    t.teardown(() => unsubscribe(name, listen));
  }
  return messages;
}

for (const threads of [1, 2]) {
  t.test(`a connection has a line at its start and one at its end, with ${threads} thread(s)`, async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const { logger, lines } = memoryLog();
    const messages = heard(t, 'aionbd:connection:start', 'aionbd:connection:end');
    const started = await start(t, {
      exports: [{ name: 'disk', path }],
      logger,
      threads,
      bufferMemoryBytes: 16 * MiB,
    });
    const client = await started.client();
    t.equal(await client.errorOf({ type: READ, offset: 0, length: 4096 }), 0);
    t.equal(await client.errorOf({ type: WRITE, offset: 0, payload: Buffer.alloc(512) }), 0);
    t.not(await client.errorOf({ type: READ, offset: 2 * MiB, length: 512 }), 0);
    await client.destroy();
    await until(() => lines.some((line) => line.startsWith('info disconnected')));
    const fieldsOf = (message: string) =>
      JSON.parse(lines.find((line) => line.startsWith(`info ${message} `))!.slice(6 + message.length));
    t.match(fieldsOf('connected'), {
      connection: 1,
      peer: 'unix',
      export: 'disk',
      replies: 'simple',
      contexts: [],
      thread: Number,
    });
    t.match(fieldsOf('disconnected'), {
      connection: 1,
      peer: 'unix',
      export: 'disk',
      reason: 'the client closed the connection',
      seconds: Number,
      requests: 3,
      readBytes: 4096,
      writtenBytes: 512,
      errors: 1,
    });
    t.same(messages, [
      { channel: 'aionbd:connection:start', fields: fieldsOf('connected') },
      { channel: 'aionbd:connection:end', fields: fieldsOf('disconnected') },
    ]);
  });

  t.test(
    `handshakes that lead to nothing are told of by their reason, with ${threads} thread(s)`,
    async (t) => {
      const path = sparseFile(join(scratch(t), 'disk'), MiB);
      const { logger, lines } = memoryLog();
      const messages = heard(t, 'aionbd:handshake:failed');
      const options = { logger, threads, bufferMemoryBytes: 16 * MiB, maxConnections: 1 };
      const started = await start(t, { exports: [{ name: 'disk', path }], ...options });
      const told = async (line: string | RegExp) => {
        await until(() => lines.some((said) => said.match(line)));
        t.pass(String(line));
        lines.length = 0;
      };

      const nonsense = await RawClient.connect(started.address);
      nonsense.write(Buffer.from('GET / HTTP/1.1\r\n\r\n'));
      await told(/^warn a handshake has failed .*"failure":"protocol_error"/);
      const leaving = await RawClient.connect(started.address);
      await leaving.greet();
      await leaving.destroy();
      await told(/^info the handshake led to nothing .*"failure":"closed"/);
      const looking = await RawClient.connect(started.address);
      await looking.greet();
      looking.write(optionBytes(ABORT, Buffer.alloc(0)));
      await told(/^debug a client has looked around and gone .*"failure":"abort"/);
      const mistaken = await RawClient.connect(started.address);
      await t.rejects(mistaken.go('no\u009b\nsuch'));
      await mistaken.destroy();
      await told(/^warn a handshake has failed .*"failure":"unknown_export","reason":"there is no export/);
      const served = await started.client();
      const second = await RawClient.connect(started.address);
      await told(/^warn a handshake has failed .*"failure":"too_many_connections"/);
      await second.destroy();
      await served.destroy();
      t.equal(messages.length, 5, 'programs hear of all of them');
    },
  );
}

t.test('a flood of handshakes is cut short, and the count comes out when the server stops', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const { logger, lines } = memoryLog();
  const started = await start(t, { exports: [{ name: 'disk', path }], logger });
  for (let i = 0; i < 40; i++) {
    const client = await RawClient.connect(started.address);
    client.write(Buffer.from('nonsense nonsense nonsense'));
    t.ok(await client.closesWithin(WAIT_MS));
  }
  await started.server.close();
  const [logged, counts] = [/^warn a handshake has failed/, /^warn more handshakes/].map((kind) =>
    lines.filter((line) => kind.test(line)),
  );
  t.ok(logged!.length >= 20 && logged!.length < 40, `${logged!.length} were logged`);
  const leftOut = counts!.reduce((sum, line) => sum + JSON.parse(line.slice(line.indexOf('{'))).leftOut, 0);
  t.equal(logged!.length + leftOut, 40, 'all were told of, one way or the other');
});

t.test(
  'a request over the threshold is in the log with the share of the disk, while it hangs and when it is answered',
  async (t) => {
    const path = sparseFile(join(scratch(t), 'disk'), MiB);
    const env = await slowWrites(t, 'offset == 8192 ? 2500000 : 0');
    const server = await serve(t, {
      exports: [{ name: 'disk', path, direct: 'off' }],
      args: ['--slow-request', '500', '--log-format', 'json'],
      env,
    });
    await must('qemu-io', ['-f', 'raw', '-c', 'write 8k 4k', '-c', 'write 0 4k', server.uri('disk')]);
    await server.stop(t);
    const lines = server
      .log()
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => JSON.parse(line) as Record<string, unknown>);
    const about = (message: string) => lines.filter(({ msg }) => msg === message);
    const request = {
      connection: 1,
      peer: 'unix',
      export: 'disk',
      command: 'WRITE',
      offset: 8192,
      length: 4096,
    };
    t.match(about('slow request'), [request]);
    t.match(about('a request is still not answered'), [request]);
    const [{ durationMs, diskMs }] = about('slow request') as [{ durationMs: number; diskMs: number }];
    t.ok(durationMs >= 2500, `${durationMs} ms`);
    t.ok(diskMs >= 2400 && diskMs <= durationMs, `${diskMs} ms of the disk`);
  },
);

t.test('slow requests are not looked for where that is switched off', async (t) => {
  const path = sparseFile(join(scratch(t), 'disk'), MiB);
  const env = await slowWrites(t, '1500000');
  const server = await serve(t, {
    exports: [{ name: 'disk', path, direct: 'off' }],
    args: ['--slow-request', 'off', '--log-format', 'json'],
    env,
  });
  await must('qemu-io', ['-f', 'raw', '-c', 'write 8k 4k', server.uri('disk')]);
  await server.stop(t);
  t.notMatch(server.log(), /slow request|not answered/);
});

t.test('a threshold that is no number of milliseconds is refused', async (t) => {
  const exports = [{ name: 'disk', path: sparseFile(join(scratch(t), 'disk'), MiB) }];
  for (const slowRequestMs of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
    await t.rejects(createServer({ exports, slowRequestMs }), {
      code: 'AIONBD_E_USAGE',
      message: 'slowRequestMs',
    });
  }
});

t.test('each line has one channel, and channels are named alike', async (t) => {
  for (const [name, { channel, message }] of Object.entries(LINES)) {
    t.match(channel, /^aionbd:[a-z]+:[a-z-]+$/, name);
    t.notMatch(message, /\p{C}/u);
  }
});
