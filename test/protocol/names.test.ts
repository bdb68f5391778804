import t from 'tap';
import * as wire from '../../src/protocol/constants.js';
import { commandName, optionName } from '../../src/protocol/names.js';

t.test('every option and command has the name of its constant', async (t) => {
  for (const [constant, number] of Object.entries(wire)) {
    if (constant.startsWith('OPT_')) t.equal(optionName(number), constant.slice('OPT_'.length));
    if (/^CMD_(?!FLAG_)/.test(constant)) t.equal(commandName(number), constant.slice('CMD_'.length));
  }
});

t.test('a number without a name is shown as a number', async (t) => {
  t.equal(optionName(0), 'option 0');
  t.equal(optionName(12), 'option 12');
  t.equal(optionName(0xffffffff), 'option 4294967295');
  t.equal(commandName(9), 'command 9');
  t.equal(commandName(0xffff), 'command 65535');
});
