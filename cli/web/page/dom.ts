/**
 * Elements of the page.
 *
 * Law: text gets in as text nodes only; nothing here or elsewhere parses HTML.
 */
import { shown } from "./words.ts";

/** An element that map.html holds. */
export function byId(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`map.html has no #${id}`);
  return found;
}

/** A new element with a class and children; text becomes text nodes. */
export function make<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  className = "",
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const element = document.createElement(tag);
  if (className !== "") element.className = className;
  element.append(...children.map((child) => (typeof child === "string" ? shown(child) : child)));
  return element;
}

export function button(text: string, className: string, act: () => void): HTMLButtonElement {
  const element = make("button", className, text);
  element.type = "button";
  element.addEventListener("click", act);
  return element;
}

/** Sets a text where it changed, so that nothing is read out again. */
export function setText(element: HTMLElement, text: string): void {
  const next = shown(text);
  if (element.textContent !== next) element.textContent = next;
}
