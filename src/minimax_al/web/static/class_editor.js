/** Dialog in which a manager edits the classes: add, rename, merge, delete those without labels. */

import * as api from "./api.js";
import { byId, count, make, sentence } from "./dom.js";
import { say } from "./say.js";

let changed = async () => undefined;

/** Wires the dialog. `onChange()`: the classes are others than before; its promise ends once the page shows them. */
export function build(onChange) {
  changed = onChange;
  byId("classes-edit").addEventListener("click", () => void open());
  byId("class-add").addEventListener("submit", (event) => {
    event.preventDefault();
    const box = byId("class-new");
    const name = box.value.trim();
    if (name !== "") void change(() => api.addClasses([name]), `${name} is added`).then((done) => done && (box.value = ""));
  });
}

async function open() {
  await read();
  byId("class-editor").showModal();
}

async function read() {
  try {
    const classes = await api.getClasses();
    byId("class-rows").replaceChildren(...classes.map((one) => row(one, classes)));
    tell("");
  } catch (error) {
    tell(sentence(error.message));
  }
}

const tell = (text) => (byId("class-said").textContent = text);

async function change(request, words) {
  try {
    const { labels } = await request();
    await Promise.all([read(), changed()]); // the keys have the new classes before the words say so
    tell(sentence(labels > 0 ? `${words}: ${count(labels, "label")} changed` : words));
    say(sentence(words));
    return true;
  } catch (error) {
    tell(sentence(error.message));
    return false;
  }
}

function row({ name, labels }, all) {
  const box = make("input", { type: "text", value: name, maxlength: 200, "aria-label": `Name of ${name}`, spellcheck: "false" });
  const rename = make("button", { type: "submit", "aria-label": `Rename ${name}`, disabled: true }, "Rename");
  box.addEventListener("input", () => (rename.disabled = box.value.trim() === name || box.value.trim() === ""));
  const form = make("form", { onsubmit: (event) => {
    event.preventDefault();
    void change(() => api.renameClass(name, box.value.trim()), `${name} is now ${box.value.trim()}`);
  } }, box, rename);
  const into = make("select", { "aria-label": `Merge ${name} into` }, make("option", { value: "" }, "Merge into …"));
  // Filled when it is used: the lists of 120 classes have 14,000 entries together.
  const fill = () => into.length === 1 && into.append(...all.filter((other) => other.name !== name).map((other) => make("option", { value: other.name }, other.name)));
  for (const event of ["focus", "mousedown"]) into.addEventListener(event, fill);
  into.addEventListener("change", () => void merge(name, into, labels));
  const remove = make("button", { type: "button", class: "link", "aria-label": `Delete ${name}`, onclick: () => change(() => api.removeClass(name), `${name} is deleted`) }, "Delete");
  return make("li", {}, form, make("span", { class: "quiet" }, count(labels, "label")), into, labels === 0 && remove);
}

async function merge(name, into, labels) {
  const target = into.value;
  into.value = "";
  if (target === "") return;
  const words = labels > 0 ? `Merge ${name} into ${target}? ${count(labels, "label")} will have the class ${target}, and ${name} leaves the list.` : `Merge ${name} into ${target}?`;
  if (confirm(words)) await change(() => api.mergeClasses([name], target), `${name} is merged into ${target}`);
}
