/**
 * How replies look on a connection: agreed in the handshake, for good. `structured` has chunks with 20-byte headers
 * (STRUCTURED_REPLY), `extended` has requests and chunks with 32-byte headers (EXTENDED_HEADERS).
 */
export type ReplyMode = 'simple' | 'structured' | 'extended';
