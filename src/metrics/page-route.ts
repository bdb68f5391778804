import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { reply } from './http.js';

/** Made by scripts/bundle.mjs; found from the source, too. */
const FILE = new URL('../../dist/metrics/page.html', import.meta.url);

interface Page {
  readonly html: string;
  readonly policy: string;
}

let page: Promise<Page> | undefined;

/** `GET /`: the status page, which is one file. */
export async function answerPage(_request: IncomingMessage, response: ServerResponse): Promise<void> {
  page ??= load();
  const { html, policy } = await page;
  response.setHeader('Content-Security-Policy', policy);
  response.setHeader('Referrer-Policy', 'no-referrer');
  response.setHeader('Cache-Control', 'no-cache');
  reply(response, 200, 'text/html; charset=utf-8', html);
}

async function load(): Promise<Page> {
  const html = await readFile(FILE, 'utf8');
  return { html, policy: policyOf(html) };
}

/** Nothing but what is in the page runs, and it talks to this server alone. */
function policyOf(html: string): string {
  const hash = (tag: string) => {
    const text = new RegExp(`<${tag}[^>]*>(.*?)</${tag}>`, 's').exec(html)?.[1] ?? '';
    return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
  };
  return [
    "default-src 'none'",
    `script-src ${hash('script')}`,
    `style-src ${hash('style')}`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}
