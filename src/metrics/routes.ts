import type { HealthWatch } from './health.js';
import { type Handler, type RouteContext, type Routes, replyJson } from './http.js';
import type { Live } from './live.js';
import { answerMetrics, type MetricsContext } from './metrics-route.js';
import { answerPage } from './page-route.js';

/** What all routes together need. */
export type PagesContext = RouteContext &
  MetricsContext & { readonly live: Live; readonly health: HealthWatch };

/** One snapshot, as JSON. */
const status: Handler<PagesContext> = async (_request, response, context) => {
  await context.fresh();
  replyJson(response, 200, context.snapshot());
};

const live: Handler<PagesContext> = (request, response, context) => context.live.answer(request, response);

/** Whether event loops turn and disks answer: 200, or 503 with reasons. */
const health: Handler<PagesContext> = async (_request, response, context) => {
  const report = await context.health.freshReport();
  replyJson(response, report.healthy ? 200 : 503, report);
};

/** Whether new clients are welcome: 200, or 503 with reasons. */
const readiness: Handler<PagesContext> = (_request, response, context) => {
  const report = context.health.readiness(context.snapshot().state);
  replyJson(response, report.ready ? 200 : 503, report);
};

/** Everything there is at the address of `--metrics`. */
export const ROUTES: Routes<PagesContext> = Object.freeze({
  '/': answerPage,
  '/metrics': answerMetrics,
  '/api/status': status,
  '/api/live': live,
  '/healthz': health,
  '/readyz': readiness,
});
