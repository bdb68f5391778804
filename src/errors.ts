/**
 * The one table of errors that an operator or a library user can meet: what each code means. Codes are stable; docs/errors.md
 * lists exactly these, each with its remedy. Errors a client causes are not here: they are answers of the protocol, not exceptions.
 */
export const ERRORS = Object.freeze({
  AIONBD_E_USAGE: 'A flag or an argument is not usable as given.',
  AIONBD_E_SIZE: 'A size could not be read.',
  AIONBD_E_ADDRESS: 'A listen address could not be read.',
  AIONBD_E_EXPORT_SPEC: 'An export specification could not be read.',
  AIONBD_E_EXPORT_NAME: 'An export name is missing, too long or used twice.',
  AIONBD_E_FILE: 'A file to export could not be opened, or is of a kind that cannot be exported.',
  AIONBD_E_DIRECT: 'Direct I/O was asked for and the file or its filesystem cannot do it.',
  AIONBD_E_LOCKED: 'Another process holds the lock on a file to export.',
  AIONBD_E_LISTEN: 'An address could not be listened on.',
  AIONBD_E_PID_FILE: 'The file for the process id could not be written.',
  AIONBD_E_AIO_LIMIT: 'The kernel has no room for another AIO context (fs.aio-max-nr).',
  AIONBD_E_MEMORY: 'The buffer memory could not be had.',
  AIONBD_E_ADDON: 'The native addon could not be loaded.',
  AIONBD_E_CREATE: 'An image file could not be created.',
  AIONBD_E_STATUS: 'A running server could not be asked for its status.',
});

/** The code of an {@link AionbdError}: a key of {@link ERRORS}. */
export type ErrorCode = keyof typeof ERRORS;

/**
 * An expected failure: the message is one line that names the value and the remedy, fit to print as it is. The system's own error, if
 * there was one, is its `cause`.
 */
export class AionbdError extends Error {
  /** What kind of failure it is: the same in all versions, while the words of the message may change. */
  readonly code: ErrorCode;

  /**
   * @param code what kind of failure it is
   * @param message one line that names the value and the remedy
   * @param options `cause`: the system's own error
   */
  constructor(code: ErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'AionbdError';
    this.code = code;
  }
}
