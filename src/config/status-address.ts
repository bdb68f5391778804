import { AionbdError } from '../errors.js';
import { parseListenAddress } from './listen.js';
import { quote } from './quote.js';

/** Where a running server tells how it is. */
export interface StatusAddress {
  /** As it was written. */
  readonly text: string;
  readonly place:
    | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
    | { readonly kind: 'unix'; readonly path: string };
  /** What the server's paths begin with, such as behind a proxy; ends with a slash. */
  readonly base: string;
}

const HTTP_PORT = 80;
/** An address may be that of one of the server's pages, such as the one that its log shows. */
const PAGE = /\/(metrics|healthz|readyz|api\/status|api\/live)\/?$/;

/**
 * Reads what `aionbd status` and `aionbd top` are given: `host:port`, `[v6]:port` or `unix:PATH` as `--metrics` takes
 * them, or a URL that begins with `http://`.
 *
 * @throws AionbdError AIONBD_E_ADDRESS
 */
export function parseStatusAddress(text: string): StatusAddress {
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    return parseUrl(text);
  }
  const [first] = parseListenAddress(text).addresses;
  if (first.kind === 'unix') {
    return Object.freeze({ text, place: first, base: '/' });
  }
  // `localhost` stays a name here: whichever of its addresses answers is the one.
  const host = text.toLowerCase().startsWith('localhost:') ? 'localhost' : first.host;
  return tcp(text, host, first.port, '/');
}

function parseUrl(text: string): StatusAddress {
  if (!URL.canParse(text)) {
    throw addressError(text, 'it is not a URL; write http://127.0.0.1:9809/, host:port or unix:PATH');
  }
  const { protocol, hostname, port, pathname } = new URL(text);
  if (protocol !== 'http:') {
    throw addressError(text, 'the server speaks plain HTTP; write http://host:port/, host:port or unix:PATH');
  }
  const base = pathname.replace(PAGE, '/');
  const host = hostname.replace(/^\[|\]$/g, '');
  return tcp(text, host, port === '' ? HTTP_PORT : Number(port), base.endsWith('/') ? base : `${base}/`);
}

function tcp(text: string, host: string, port: number, base: string): StatusAddress {
  if (port === 0) {
    throw addressError(text, 'name the port that the server has, such as 9809; its log says which');
  }
  return Object.freeze({ text, place: Object.freeze({ kind: 'tcp', host, port }), base });
}

function addressError(text: string, remedy: string): AionbdError {
  return new AionbdError('AIONBD_E_ADDRESS', `cannot read the address ${quote(text)}: ${remedy}`);
}
