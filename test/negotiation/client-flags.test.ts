import t from 'tap';
import { Negotiation } from '../../src/negotiation/negotiation.js';
import { ACK, EXPORT_NAME, INFO, infoData, join, LIST, option, outline, text, u16, u32 } from './bytes.js';
import { agreed, closeReason, DIRECTORY, playBytes } from './session.js';

t.test('H1: the greeting is NBDMAGIC, IHAVEOPT and the flags FIXED_NEWSTYLE and NO_ZEROES', async (t) => {
  const negotiation = new Negotiation(DIRECTORY);
  t.strictSame(Buffer.from(negotiation.greeting()), join(text('NBDMAGICIHAVEOPT'), u16(3)));
});

t.test('H2: flags that were offered are taken, and the client may say nothing for a while', async (t) => {
  for (const flags of [0, 1, 2, 3]) {
    const played = playBytes(u32(flags));
    t.strictSame(played, { output: Buffer.alloc(0), consumed: 4, next: { kind: 'continue' } });
  }
});

t.test('H2: any flag that was not offered closes the connection and is named in the reason', async (t) => {
  for (let bit = 2; bit < 32; bit++) {
    const flags = (2 ** bit + 3) >>> 0;
    const played = playBytes(join(u32(flags), option(LIST)));
    t.match(closeReason(played), `0x${flags.toString(16).padStart(8, '0')}`);
    t.equal(played.output.length, 0, 'nothing is answered');
    t.equal(played.consumed, 4);
  }
});

t.test('H2: a web browser is closed on its first four bytes', async (t) => {
  t.match(closeReason(playBytes(text('GET / HTTP/1.1\r\n'))), '0x47455420');
});

t.test('H4: a client that does not speak fixed newstyle gets its export by EXPORT_NAME', async (t) => {
  for (const flags of [0, 2]) {
    const { next } = playBytes(join(u32(flags), option(EXPORT_NAME, text('disk'))));
    t.match(next, {
      kind: 'transmission',
      negotiated: agreed({ fixedNewstyle: false, noZeroes: flags === 2 }),
    });
  }
});

t.test('H4: any other option of such a client closes the connection without a reply', async (t) => {
  for (const number of [0, 2, 3, 5, 6, 7, 8, 9, 10, 11, 77, 0xffffffff]) {
    const played = playBytes(join(u32(2), option(number, infoData('disk'))));
    t.match(closeReason(played), 'fixed newstyle');
    t.equal(played.output.length, 0);
  }
});

t.test('H4: the same options of a client that speaks fixed newstyle are answered', async (t) => {
  const { output } = playBytes(join(u32(1), option(INFO, infoData('disk'))));
  t.strictSame(outline(output).at(-1), [INFO, ACK]);
});
