import { AionbdError } from '../errors.js';
import type { Export } from '../export/export.js';
import { offerOf } from '../export/offer.js';
import type { ExportDirectory, ExportOffer } from '../negotiation/directory.js';
import { MAXIMUM_STRING_BYTES } from '../protocol/constants.js';

/** The exports by name, as negotiation sees them. */
export class Registry implements ExportDirectory {
  readonly #exports = new Map<string, Export>();
  readonly #offers = new Map<string, ExportOffer>();
  readonly defaultExport: string;
  shuttingDown = false;

  /** Throws as {@link checkExports} does. */
  constructor(exports: readonly Export[], defaultExport: string | undefined) {
    this.defaultExport = checkExports(exports, defaultExport);
    for (const target of exports) {
      this.#exports.set(target.name, target);
      this.#offers.set(target.name, offerOf(target));
    }
  }

  list(): readonly ExportOffer[] {
    return [...this.#offers.values()];
  }

  find(name: string): ExportOffer | undefined {
    return this.#offers.get(name) ?? (name === '' ? this.#offers.get(this.defaultExport) : undefined);
  }

  /** The export behind an offer. */
  exportOf(offer: ExportOffer): Export {
    return this.#exports.get(offer.name)!;
  }
}

/**
 * The name of the default export. Throws AIONBD_E_EXPORT_NAME for a name or description that is too long, a name that is used
 * twice, or a default that is not there.
 */
export function checkExports(
  exports: readonly { readonly name: string; readonly description: string }[],
  defaultExport = exports[0]?.name ?? '',
): string {
  const names = new Set<string>();
  for (const { name, description } of exports) {
    checkText(name, 'name', name);
    checkText(description, 'description', name);
    if (names.has(name)) {
      const remedy = 'give each export a name of its own with --export name=N,path=P';
      throw new AionbdError('AIONBD_E_EXPORT_NAME', `two exports are named "${name}"; ${remedy}`);
    }
    names.add(name);
  }
  if (names.has(defaultExport)) return defaultExport;
  const known = [...names].map((name) => `"${name}"`).join(', ') || 'none';
  throw new AionbdError(
    'AIONBD_E_EXPORT_NAME',
    `the default export "${defaultExport}" is not among the exports (${known})`,
  );
}

function checkText(text: string, what: string, name: string): void {
  const bytes = Buffer.byteLength(text);
  if (bytes > MAXIMUM_STRING_BYTES) {
    throw new AionbdError(
      'AIONBD_E_EXPORT_NAME',
      `the ${what} of export "${name.slice(0, 64)}…" has ${bytes} bytes; the protocol allows ${MAXIMUM_STRING_BYTES}`,
    );
  }
  if (text.includes('\0')) {
    throw new AionbdError(
      'AIONBD_E_EXPORT_NAME',
      `the ${what} of export "${name}" has a NUL character; remove it`,
    );
  }
}
