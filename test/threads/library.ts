// The library as it is built: a thread of the sources would first compile all of them.

export const { createServer } = (await import(
  new URL('../../dist/index.js', import.meta.url).href
)) as typeof import('../../src/index.js');
