#!/usr/bin/env node
// npm run docs:api [-- FOLDER]
//
// Writes the reference of the library into docs/api/, or FOLDER, from the docstrings of what src/index.ts exports. Whatever is
// exported without a docstring, or uses a type that is not exported, is named, and nothing is written.

import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const target = resolve(process.argv[2] ?? join(ROOT, 'docs/api'));

const out = mkdtempSync(join(tmpdir(), 'aionbd-api-'));
try {
  process.exitCode = (await write(out)) ? 0 : 1;
  if (process.exitCode === 0) {
    rmSync(target, { recursive: true, force: true });
    cpSync(out, target, { recursive: true });
  }
} finally {
  rmSync(out, { recursive: true, force: true });
}

/** @param {string} folder */
async function write(folder) {
  const application = await Application.bootstrapWithPlugins({
    name: 'The library',
    entryPoints: [join(ROOT, 'src/index.ts')],
    tsconfig: join(ROOT, 'tsconfig.build.json'),
    plugin: ['typedoc-plugin-markdown'],
    outputs: [{ name: 'markdown', path: folder }],
    readme: 'none',
    // What comes from Node.js is documented there.
    excludeExternals: true,
    excludePrivate: true,
    kindSortOrder: ['Function', 'Interface', 'TypeAlias', 'Class', 'Variable'],
    // Lines and commits would change with each commit.
    disableSources: true,
    validation: { notExported: true, notDocumented: true, invalidLink: true },
    treatWarningsAsErrors: true,
    logLevel: 'Warn',
    // Each is its own sentence.
    intentionallyNotDocumented: errorCodes().map((code) => `ERRORS.__type.${code}`),
    requiredToBeDocumented: [
      'Class',
      'Interface',
      'Function',
      'TypeAlias',
      'Variable',
      'Property',
      'Method',
      'Accessor',
    ],
    outputFileStrategy: 'modules',
    // Its own names of headings are not always those that GitHub gives them.
    useHTMLAnchors: true,
    // Everything is on one page, and has its own heading.
    hidePageHeader: true,
    hideBreadcrumbs: true,
    useCodeBlocks: true,
    expandObjects: false,
    parametersFormat: 'table',
    interfacePropertiesFormat: 'table',
    classPropertiesFormat: 'table',
    typeDeclarationFormat: 'table',
    tableColumnSettings: {
      hideInherited: true,
      hideOverrides: true,
      hideSources: true,
      hideModifiers: true,
    },
  });
  const project = await application.convert();
  if (project === undefined) return false;
  application.validate(project);
  if (application.logger.hasWarnings() || application.logger.hasErrors()) return false;
  await application.generateOutputs(project);
  const ok = existsSync(join(folder, 'README.md')) && readFileSync(join(folder, 'README.md')).length > 0;
  return ok && !application.logger.hasErrors();
}

function errorCodes() {
  return readFileSync(join(ROOT, 'src/errors.ts'), 'utf8').match(/\bAIONBD_E_\w+(?=:)/g) ?? [];
}
