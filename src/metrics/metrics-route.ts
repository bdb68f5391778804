import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Exposition } from './exposition.js';
import { reply } from './http.js';

export interface MetricsContext {
  /** Loads what it needs when it is called first. */
  exposition(): Promise<Exposition>;
}

/** `GET /metrics`: Prometheus' text format. */
export async function answerMetrics(
  _request: IncomingMessage,
  response: ServerResponse,
  context: MetricsContext,
): Promise<void> {
  const { contentType, render } = await context.exposition();
  reply(response, 200, contentType, await render());
}
