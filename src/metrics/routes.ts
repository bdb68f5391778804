import { type Handler, type RouteContext, type Routes, reply, replyJson } from './http.js';
import { answerMetrics, type MetricsContext } from './metrics-route.js';

/** What all routes together need. */
export type PagesContext = RouteContext & MetricsContext;

const root: Handler<PagesContext> = (_request, response) =>
  reply(
    response,
    200,
    'text/plain; charset=utf-8',
    'aionbd: the metrics are at /metrics, and all of it as JSON at /api/status\n',
  );

/** One snapshot, as JSON. */
const status: Handler<PagesContext> = async (_request, response, context) => {
  await context.fresh();
  replyJson(response, 200, context.snapshot());
};

/** Everything there is at the address of `--metrics`. */
export const ROUTES: Routes<PagesContext> = Object.freeze({
  '/': root,
  '/metrics': answerMetrics,
  '/api/status': status,
});
