import type { IncomingMessage, ServerResponse } from 'node:http';
import { reply } from './http.js';

export interface MetricsContext {
  /** All metrics as they are now, in a format of Prometheus. */
  metrics(): Promise<{ readonly contentType: string; readonly body: string }>;
}

/** `GET /metrics`. */
export async function answerMetrics(
  _request: IncomingMessage,
  response: ServerResponse,
  context: MetricsContext,
): Promise<void> {
  const { contentType, body } = await context.metrics();
  reply(response, 200, contentType, body);
}
