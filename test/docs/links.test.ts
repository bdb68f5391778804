// A reader who follows a link arrives somewhere, and a reader who begins at README.md gets everywhere.

import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Marked, type Token, type Tokens } from 'marked';
import t from 'tap';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

interface Document {
  /** Targets as they are written. */
  readonly links: readonly string[];
  readonly anchors: ReadonlySet<string>;
}

/** All that git knows or would take: what is ignored is nobody's document. */
function documentPaths(): string[] {
  const listed = spawnSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.md'], {
    cwd: ROOT,
    encoding: 'utf8',
  });
  return listed.stdout.split('\n').filter((path) => path !== '' && existsSync(join(ROOT, path)));
}

function read(path: string): Document {
  const tokens: Token[] = [];
  const marked = new Marked();
  marked.walkTokens(marked.lexer(readFileSync(join(ROOT, path), 'utf8')), (token) => void tokens.push(token));
  const of = <T extends Token>(...types: readonly string[]) =>
    tokens.filter((token): token is T => types.includes(token.type));
  const ids = of<Tokens.HTML | Tokens.Tag>('html').flatMap(({ raw }) =>
    [...raw.matchAll(/ id="([^"]+)"/g)].map(([, id]) => id!),
  );
  return {
    links: of<Tokens.Link | Tokens.Image>('link', 'image').map(({ href }) => href),
    anchors: new Set([
      ...anchorsOf(of<Tokens.Heading>('heading').map(({ tokens }) => textOf(tokens))),
      ...ids,
    ]),
  };
}

/** What a heading reads like, without marks. */
function textOf(tokens: readonly Token[]): string {
  return tokens
    .map((token) =>
      'tokens' in token && token.tokens ? textOf(token.tokens) : 'text' in token ? token.text : '',
    )
    .join('');
}

/** As GitHub makes them: lower case, without punctuation, `-` for spaces, numbered from the second on. */
function anchorsOf(headings: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return headings.map((heading) => {
    const slug = heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\p{M}\p{Pc}\- ]/gu, '')
      .replaceAll(' ', '-');
    const times = seen.get(slug) ?? 0;
    seen.set(slug, times + 1);
    return times === 0 ? slug : `${slug}-${times}`;
  });
}

/** A link as a path from the root and an anchor; undefined if it leads out of the repository. */
function resolveLink(from: string, link: string): { path: string; anchor: string } | undefined {
  if (/^[a-z][a-z+.-]*:/i.test(link)) return undefined;
  const [file = '', anchor = ''] = link.split('#');
  const path = file === '' ? from : normalize(join(dirname(from), decodeURIComponent(file)));
  return { path: path.replace(/\/$/, ''), anchor: decodeURIComponent(anchor) };
}

const documents = new Map(documentPaths().map((path) => [path, read(path)]));

t.test('links between the documents lead to files and headings that there are', async (t) => {
  t.ok(documents.size > 10 && documents.has('README.md'), 'documents were found at all');
  for (const [path, { links }] of documents) {
    for (const link of links) {
      const target = resolveLink(path, link);
      if (target === undefined) continue;
      const there = existsSync(join(ROOT, target.path)) && !target.path.startsWith('..');
      t.ok(there, `${path}: ${link} is there`);
      if (target.anchor === '' || !there) continue;
      t.ok(documents.get(target.path)?.anchors.has(target.anchor), `${path}: ${link} is a heading`);
    }
  }
});

t.test('every document can be reached from README.md', async (t) => {
  const reached = new Set<string>();
  const visit = (path: string): void => {
    const document = documents.get(path);
    if (document === undefined || reached.has(path)) return;
    reached.add(path);
    for (const link of document.links) {
      const target = resolveLink(path, link)?.path;
      if (target === undefined || !existsSync(join(ROOT, target))) continue;
      // A folder is shown by its README.
      visit(statSync(join(ROOT, target)).isDirectory() ? join(target, 'README.md') : target);
    }
  };
  visit('README.md');
  for (const path of documents.keys()) t.ok(reached.has(path), path);
});

t.test('docs/README.md names each document below docs/ itself', async (t) => {
  const index = documents.get('docs/README.md');
  const named = new Set(index?.links.map((link) => resolveLink('docs/README.md', link)?.path));
  for (const path of documents.keys()) {
    if (path.startsWith('docs/') && path !== 'docs/README.md') t.ok(named.has(path), path);
  }
});
