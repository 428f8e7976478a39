/** Export and import of labels as files. */

import { exportUrl, importLabels } from "./api.js";
import { byId, count, make, sentence } from "./dom.js";
import { readStatus } from "./jobs.js";
import { clear, warn } from "./say.js";
import { state, update } from "./state.js";

const NAMES = { csv: "CSV", parquet: "Parquet", coco: "COCO", "label-studio": "Label Studio" };

/** Draws the links and wires the file box. */
export function build() {
  byId("exports").replaceChildren(
    ...state.campaign.export_formats.map((format) => make("li", {}, make("a", { href: exportUrl(format), download: "" }, NAMES[format] ?? format))),
  );
  byId("import-file").addEventListener("change", ({ target }) => target.files.length > 0 && take(target.files[0]));
}

async function take(file) {
  byId("import-file").value = "";
  byId("import-said").textContent = `Reading ${file.name} …`;
  clear("import");
  try {
    const { added, changed, unchanged, unsure, new_classes: classes } = await importLabels(file);
    const puzzling = unsure > 0 ? `, ${unsure} unsure` : "";
    const more = classes.length > 0 ? ` New classes: ${classes.join(", ")}.` : "";
    byId("import-said").textContent = `${file.name}: ${count(added, "label")} added, ${changed} changed, ${unchanged} unchanged${puzzling}.${more}`;
    await readStatus();
    update({ moment: state.moment + 1 });
  } catch (error) {
    byId("import-said").textContent = "";
    warn("import", sentence(`Nothing was imported: ${error.message}`));
  }
}
