// Elements are only ever made here, and text is only ever set as text: names of exports and clients may be anything.

type Child = Node | string;

const ATTRIBUTES: Readonly<Record<string, string>> = { className: 'class' };

/** An element with attributes and children. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Readonly<Record<string, string>> = {},
  ...children: Child[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(ATTRIBUTES[name] ?? name, value);
  made.append(...children);
  return made;
}

/** The element with this id, which index.html has. */
export function byId<Element extends HTMLElement = HTMLElement>(id: string): Element {
  return document.getElementById(id) as Element;
}

/** Sets the text if it is another; what is selected or read out stays so otherwise. */
export function setText(node: Node, text: string): void {
  if (node.textContent !== text) node.textContent = text;
}
