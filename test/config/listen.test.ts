import { isIPv4, isIPv6 } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { parseListenAddress } from '../../src/config/listen.js';
import { AionbdError } from '../../src/errors.js';
import { fails } from './fails.js';

const tcp = (host: string, port: number) => ({ kind: 'tcp', host, port });
const refused = (t: Parameters<typeof fails>[0], text: string, ...parts: string[]) =>
  fails(t, () => parseListenAddress(text), 'AIONBD_E_ADDRESS', ...parts);

t.test('an address is host:port, [v6]:port or unix:PATH', async (t) => {
  for (const [text, address] of [
    ['127.0.0.1:10809', tcp('127.0.0.1', 10809)],
    ['0.0.0.0:0', tcp('0.0.0.0', 0)],
    ['storage-1.example.org:65535', tcp('storage-1.example.org', 65535)],
    ['[::1]:10809', tcp('::1', 10809)],
    ['[::]:1', tcp('::', 1)],
    ['[fe80::1%eth0]:1', tcp('fe80::1%eth0', 1)],
    ['unix:/run/aionbd.sock', { kind: 'unix', path: '/run/aionbd.sock' }],
    ['unix:relative sock', { kind: 'unix', path: 'relative sock' }],
    ['unix:a:b', { kind: 'unix', path: 'a:b' }],
  ] as const) {
    const plan = parseListenAddress(text);
    t.strictSame(plan.addresses, [address], text);
    t.equal(plan.text, text);
  }
});

t.test('localhost stands for both loopback addresses, IPv4 first', async (t) => {
  t.strictSame(parseListenAddress('localhost:10809').addresses, [tcp('127.0.0.1', 10809), tcp('::1', 10809)]);
  t.strictSame(parseListenAddress('LocalHost:0').addresses, [tcp('127.0.0.1', 0), tcp('::1', 0)]);
});

t.test('what is returned is frozen', async (t) => {
  const plan = parseListenAddress('localhost:1');
  t.ok(Object.isFrozen(plan) && Object.isFrozen(plan.addresses) && plan.addresses.every(Object.isFrozen));
});

t.test('a port alone is refused, since it does not say who may connect', async (t) => {
  for (const text of ['10810', ':10810', '*:10810']) {
    refused(t, text, JSON.stringify(text), 'localhost:10810', '0.0.0.0:10810');
  }
});

t.test('a host without a port is refused with the port to add', async (t) => {
  refused(t, 'storage1', '"storage1"', 'storage1:10809');
  refused(t, '0.0.0.0', '0.0.0.0:10809');
  refused(t, '[::1]', '[::1]:10809');
});

t.test('an IPv6 address without brackets is refused', async (t) => {
  refused(t, '::1:10809', 'brackets');
  refused(t, '::', 'brackets');
  refused(t, 'fe80::1', 'brackets');
});

t.test('what is no host, no port or no path is refused', async (t) => {
  for (const text of [
    '',
    'a b:1',
    'host:',
    'host:x',
    'host:65536',
    'host:-1',
    'host:1.5',
    'host: 1',
    '[::1',
    '[]:1',
  ]) {
    refused(t, text, JSON.stringify(text));
  }
  for (const text of [
    '256.0.0.1:1',
    '1.2.3:1',
    '-a:1',
    '[127.0.0.1]:1',
    '[::1]x:1',
    '[::1]:',
    'a\n:1',
    'tcp://a:1',
  ]) {
    refused(t, text, JSON.stringify(text));
  }
  refused(t, 'unix:', 'unix:/run/aionbd.sock');
});

t.test('the path of a socket has at most 107 bytes', async (t) => {
  t.equal(parseListenAddress(`unix:/${'a'.repeat(106)}`).addresses.length, 1);
  refused(t, `unix:/${'a'.repeat(107)}`, '107');
  refused(t, `unix:/${'é'.repeat(54)}`, '107');
});

t.test('every IP address and port reads back as it is', async () => {
  fc.assert(
    fc.property(fc.ipV4(), fc.nat({ max: 65535 }), (host, port) => {
      const [address] = parseListenAddress(`${host}:${port}`).addresses;
      return address.kind === 'tcp' && address.host === host && address.port === port;
    }),
  );
  fc.assert(
    fc.property(fc.ipV6(), fc.nat({ max: 65535 }), (host, port) => {
      const [address] = parseListenAddress(`[${host}]:${port}`).addresses;
      return address.kind === 'tcp' && address.host === host && address.port === port;
    }),
  );
});

t.test('every domain name and every socket path reads back as it is', async () => {
  fc.assert(
    fc.property(fc.domain(), fc.nat({ max: 65535 }), (host, port) => {
      const [address] = parseListenAddress(`${host}:${port}`).addresses;
      return address.kind === 'tcp' && address.host === host;
    }),
  );
  const path = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 26 })
    .filter((path) => !path.includes('\0'));
  fc.assert(
    fc.property(path, (path) => {
      const [address] = parseListenAddress(`unix:${path}`).addresses;
      return address.kind === 'unix' && address.path === path;
    }),
  );
});

t.test('any text gives addresses that can be listened on or AIONBD_E_ADDRESS on one line', async () => {
  const text = fc.oneof(
    fc.string(),
    fc.string({ unit: 'binary' }),
    fc.string({ unit: fc.constantFrom(...'0123456789abcdef:.[]%*-_ /\n', 'unix:', 'localhost') }),
  );
  fc.assert(
    fc.property(text, (text) => {
      try {
        return parseListenAddress(text).addresses.every((address) =>
          address.kind === 'unix'
            ? address.path.length > 0
            : Number.isInteger(address.port) &&
              address.port <= 65535 &&
              (isIPv4(address.host) || isIPv6(address.host) || /^[\w.-]+$/.test(address.host)),
        );
      } catch (error) {
        return (
          error instanceof AionbdError && error.code === 'AIONBD_E_ADDRESS' && !/[\r\n]/.test(error.message)
        );
      }
    }),
    { numRuns: 2000 },
  );
});
