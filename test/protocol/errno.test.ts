import { constants } from 'node:os';
import fc from 'fast-check';
import t from 'tap';
import { CMD_FLAG_DF, CMD_FLAG_FAST_ZERO, CMD_FLAG_FUA } from '../../src/protocol/constants.js';
import { errnoName, wireError } from '../../src/protocol/errno.js';

const { errno } = constants;

const EPERM = 1;
const EIO = 5;
const ENOMEM = 12;
const EINVAL = 22;
const ENOSPC = 28;
const EOVERFLOW = 75;
const ENOTSUP = 95;
const ESHUTDOWN = 108;

t.test('success is 0', async (t) => {
  t.equal(wireError(0), 0);
});

t.test('X16: errnos of Linux become the errors of the wire', async (t) => {
  const cases: [number, number][] = [
    [errno.EPERM, EPERM],
    [errno.EACCES, EPERM],
    [errno.EROFS, EPERM],
    [errno.ENOSPC, ENOSPC],
    [errno.EDQUOT, ENOSPC],
    [errno.EFBIG, ENOSPC],
    [errno.ENOMEM, ENOMEM],
    [errno.EINVAL, EINVAL],
    [errno.EIO, EIO],
  ];
  for (const [from, to] of cases) t.equal(wireError(from), to, errnoName(from));
  t.equal(wireError(ESHUTDOWN), ESHUTDOWN);
});

t.test('X16: what the disk or the way to it is to blame for is EIO', async (t) => {
  const EREMOTEIO = 121;
  const EUCLEAN = 117;
  const EHWPOISON = 133;
  const { ENXIO, ENODEV, ETIMEDOUT, ETIME, ENOLINK, ENODATA, EILSEQ, EBADMSG, ESTALE, ECANCELED, EAGAIN } =
    errno;
  for (const each of [ENXIO, ENODEV, ETIMEDOUT, ETIME, ENOLINK, ENODATA, EILSEQ, EBADMSG, ESTALE]) {
    t.equal(wireError(each), EIO, errnoName(each));
  }
  for (const each of [EREMOTEIO, EUCLEAN, EHWPOISON, ECANCELED, EAGAIN]) {
    t.equal(wireError(each), EIO, errnoName(each));
  }
});

t.test('X16: an errno nobody has heard of is EINVAL', async (t) => {
  for (const each of [errno.EXDEV, errno.ENOTTY, 500, 4095, 2 ** 31]) t.equal(wireError(each), EINVAL);
});

t.test('X14: ENOTSUP is said only to a request with FAST_ZERO', async (t) => {
  t.equal(wireError(errno.EOPNOTSUPP), EINVAL);
  t.equal(wireError(errno.EOPNOTSUPP, CMD_FLAG_FUA | CMD_FLAG_DF), EINVAL);
  t.equal(wireError(errno.EOPNOTSUPP, CMD_FLAG_FAST_ZERO | CMD_FLAG_FUA), ENOTSUP);
});

t.test('X6: EOVERFLOW is said only to a request with DF', async (t) => {
  t.equal(wireError(errno.EOVERFLOW), EINVAL);
  t.equal(wireError(errno.EOVERFLOW, CMD_FLAG_FAST_ZERO | CMD_FLAG_FUA), EINVAL);
  t.equal(wireError(errno.EOVERFLOW, CMD_FLAG_DF), EOVERFLOW);
});

t.test('whatever goes in, one of the eight errors comes out', async (t) => {
  const allowed = new Set([EPERM, EIO, ENOMEM, EINVAL, ENOSPC, EOVERFLOW, ENOTSUP, ESHUTDOWN]);
  t.doesNotThrow(() =>
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 5000 }), fc.nat(0xffff), (number, flags) =>
        allowed.has(wireError(number, flags)),
      ),
      { numRuns: 5000 },
    ),
  );
});

t.test('names are those of Linux, and of a number without a name the number', async (t) => {
  for (const [name, number] of Object.entries(errno)) {
    const known = errnoName(number);
    if (known.startsWith('errno ')) continue;
    // EAGAIN and EOPNOTSUPP have a second name each.
    if (name !== 'EWOULDBLOCK' && name !== 'ENOTSUP') t.equal(known, name);
  }
  t.equal(errnoName(121), 'EREMOTEIO');
  t.equal(errnoName(999), 'errno 999');
});
