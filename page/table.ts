// A table that is sorted by buttons, filtered and paged. Cells stay in place from second to second, so the focus does, too.

import { element, setText } from './dom.js';

export interface Cell {
  readonly text: string;
  /** Smaller, below. */
  readonly detail?: string;
  /** Shown as a pill of this kind. */
  readonly pill?: 'good' | 'bad' | 'wait' | 'plain';
}

export interface Column<Row> {
  readonly label: string;
  readonly cell: (row: Row) => Cell;
  /** What rows are sorted by. */
  readonly key: (row: Row) => number | string;
  readonly isNumber?: boolean;
}

export interface TableOptions<Row> {
  readonly id: string;
  readonly title: string;
  readonly columns: readonly Column<Row>[];
  /** Which row is which, from one second to the next. */
  readonly identity: (row: Row) => string | number;
  /** Column by which they are sorted at first, and whether the largest come first. */
  readonly sortedBy: number;
  readonly descending?: boolean;
  readonly empty: string;
  /** Text that the filter looks in; without it there is no filter. */
  readonly searched?: (row: Row) => string;
  /** Makes the first column a button that does this. */
  readonly choose?: (row: Row) => void;
}

const PAGE_ROWS = 50;

export class Table<Row> {
  readonly #options: TableOptions<Row>;
  readonly #count = element('span', { className: 'quiet' });
  readonly #body = element('tbody');
  readonly #empty = element('p', { className: 'empty' });
  readonly #heads: readonly HTMLTableCellElement[];
  readonly #pager = element('div', { className: 'pager' });
  readonly #place = element('span', { className: 'quiet' });
  readonly #back = element('button', { type: 'button' }, 'Back');
  readonly #on = element('button', { type: 'button' }, 'Next');
  readonly #table: HTMLTableElement;
  #shown = new Map<string | number, HTMLTableRowElement>();
  readonly #chosen = new WeakMap<HTMLElement, Row>();
  #rows: readonly Row[] = [];
  #sortedBy: number;
  #descending: boolean;
  #page = 0;
  #filter = '';

  constructor(root: HTMLElement, options: TableOptions<Row>) {
    this.#options = options;
    this.#sortedBy = options.sortedBy;
    this.#descending = options.descending ?? false;
    const { id, title, searched } = options;
    const titleId = `${id}-title`;
    const bar = element(
      'div',
      { className: 'bar' },
      element('h2', { id: titleId }, `${title} `, this.#count),
    );
    if (searched) bar.append(this.#filterBox(title));
    this.#heads = options.columns.map(({ label, isNumber }, column) => {
      const button = element('button', { type: 'button' }, label);
      button.addEventListener('click', () => this.#sort(column));
      return element('th', { scope: 'col', className: isNumber ? 'number' : '' }, button);
    });
    // Rows and cells are laid out as cards on narrow screens, which takes their meaning from them unless it is said.
    this.#table = element(
      'table',
      { className: 'rows', role: 'table', 'aria-labelledby': titleId },
      element('thead', { role: 'rowgroup' }, element('tr', { role: 'row' }, ...this.#heads)),
      this.#body,
    );
    this.#body.setAttribute('role', 'rowgroup');
    for (const head of this.#heads) head.setAttribute('role', 'columnheader');
    this.#back.addEventListener('click', () => this.#turn(-1));
    this.#on.addEventListener('click', () => this.#turn(1));
    this.#back.setAttribute('aria-label', `${title}: back`);
    this.#on.setAttribute('aria-label', `${title}: next`);
    this.#pager.append(this.#back, this.#place, this.#on);
    const box = element('div', { className: 'table' }, this.#table, this.#empty);
    root.append(bar, box, this.#pager);
    this.#draw();
  }

  show(rows: readonly Row[]): void {
    this.#rows = rows;
    this.#draw();
  }

  #filterBox(title: string): HTMLInputElement {
    const box = element('input', {
      className: 'filter',
      type: 'search',
      placeholder: 'Filter',
      'aria-label': `${title}: show only those with this in them`,
    });
    box.addEventListener('input', () => {
      this.#filter = box.value.trim().toLowerCase();
      this.#page = 0;
      this.#draw();
    });
    return box;
  }

  #sort(column: number): void {
    this.#descending =
      column === this.#sortedBy ? !this.#descending : this.#options.columns[column]!.isNumber === true;
    this.#sortedBy = column;
    this.#page = 0;
    this.#draw();
  }

  #turn(by: number): void {
    this.#page += by;
    this.#draw();
  }

  #draw(): void {
    const { columns, searched, identity, empty, title } = this.#options;
    const found =
      this.#filter && searched
        ? this.#rows.filter((row) => searched(row).toLowerCase().includes(this.#filter))
        : this.#rows;
    const { key } = columns[this.#sortedBy]!;
    const sign = this.#descending ? -1 : 1;
    const sorted = [...found].sort(
      (a, b) => sign * compare(key(a), key(b)) || compare(identity(a), identity(b)),
    );
    const pages = Math.max(1, Math.ceil(sorted.length / PAGE_ROWS));
    this.#page = Math.min(Math.max(0, this.#page), pages - 1);
    const first = this.#page * PAGE_ROWS;
    const visible = sorted.slice(first, first + PAGE_ROWS);
    this.#heads.forEach((head, column) => {
      if (column !== this.#sortedBy) head.removeAttribute('aria-sort');
      else head.setAttribute('aria-sort', this.#descending ? 'descending' : 'ascending');
    });
    this.#drawRows(visible);
    setText(
      this.#count,
      found.length === this.#rows.length ? `${found.length}` : `${found.length} of ${this.#rows.length}`,
    );
    setText(
      this.#empty,
      this.#rows.length > 0 && found.length === 0
        ? `No ${title.toLowerCase()} with “${this.#filter}”.`
        : empty,
    );
    this.#empty.hidden = visible.length > 0;
    this.#table.hidden = visible.length === 0;
    this.#pager.hidden = pages === 1;
    setText(this.#place, `${first + 1}–${first + visible.length} of ${sorted.length}`);
    this.#back.disabled = this.#page === 0;
    this.#on.disabled = this.#page === pages - 1;
  }

  #drawRows(rows: readonly Row[]): void {
    const shown = new Map<string | number, HTMLTableRowElement>();
    let before: ChildNode | null = null;
    for (const row of rows) {
      const id = this.#options.identity(row);
      const line = this.#shown.get(id) ?? this.#makeRow();
      this.#fill(line, row);
      shown.set(id, line);
      // A row that is where it belongs is not moved, since that would take the focus from it.
      const next: ChildNode | null = before === null ? this.#body.firstChild : before.nextSibling;
      if (next !== line) this.#body.insertBefore(line, next);
      before = line;
    }
    for (const [id, line] of this.#shown) if (!shown.has(id)) line.remove();
    this.#shown = shown;
  }

  #makeRow(): HTMLTableRowElement {
    const { columns, choose } = this.#options;
    const cells = columns.map(({ label, isNumber }, column) => {
      if (column > 0) {
        const cell = element('td', {
          role: 'cell',
          'data-label': label,
          className: isNumber ? 'number' : '',
        });
        cell.append(element('div', {}, element('span'), element('span', { className: 'detail' })));
        return cell;
      }
      const main = choose ? element('button', { type: 'button' }) : element('span');
      if (choose) main.addEventListener('click', () => choose(this.#chosen.get(main)!));
      const box = element('div', {}, main, element('span', { className: 'detail' }));
      return element('th', { scope: 'row', role: 'rowheader', className: 'name' }, box);
    });
    return element('tr', { role: 'row' }, ...cells);
  }

  #fill(line: HTMLTableRowElement, row: Row): void {
    this.#options.columns.forEach(({ cell }, column) => {
      const { text, detail = '', pill } = cell(row);
      const box = line.cells[column]!.firstElementChild!;
      const main = box.firstElementChild as HTMLElement;
      this.#chosen.set(main, row);
      setText(main, text);
      if (column > 0) main.className = pill ? `pill ${pill}` : '';
      const below = box.lastElementChild as HTMLElement;
      setText(below, detail);
      below.hidden = detail === '';
    });
  }
}

function compare(a: number | string, b: number | string): number {
  if (typeof a === 'number' && typeof b === 'number')
    return (Number.isNaN(a) ? -1 : a) - (Number.isNaN(b) ? -1 : b);
  return String(a).localeCompare(String(b), undefined, { numeric: true });
}
