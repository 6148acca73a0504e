/** Elements of SVG as text. */

export type Attributes = Readonly<Record<string, string | number>>;

export function element(name: string, attributes: Attributes, content?: string): string {
  const words = Object.entries(attributes).map(
    ([key, value]) => ` ${key}="${escapeXml(typeof value === "number" ? pixels(value) : value)}"`,
  );
  return content === undefined ? `<${name}${words.join("")}/>` : `<${name}${words.join("")}>${content}</${name}>`;
}

export const label = (text: string, attributes: Attributes): string => element("text", attributes, escapeXml(text));

/** A tenth of a pixel is finer than anyone sees, and keeps files of the same figures the same. */
export const pixels = (value: number): string => String(Math.round(value * 10) / 10);

const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;").replaceAll('"', "&quot;");

/** How many colours there are for series: classes `c0` and on, for lines and dots `s0`. */
export const SERIES_COLOURS = 6;

/**
 * Colours for light and for dark pages. The panel brings its own ground, so that nothing is lost where a page is dark and
 * the picture was told that it is light. The series' colours are those of Okabe and Ito, which colour-blind readers can tell apart.
 */
const LIGHT = ["#0072b2", "#e69f00", "#009e73", "#cc79a7", "#d55e00", "#56b4e9"];
const DARK = ["#56b4e9", "#e69f00", "#2dc08d", "#e08bbd", "#f0894a", "#9ad7ff"];

const coloured = (colours: readonly string[]): string =>
  colours.map((colour, at) => `.c${at}{fill:${colour}}.s${at}{stroke:${colour}}`).join("");

const STYLE = [
  "text{font:12px system-ui,sans-serif;fill:#57606a}",
  ".title{font-size:15px;font-weight:600;fill:#1f2328}",
  // On a ground of its own, where a line crosses it.
  ".value{fill:#1f2328;stroke:#fff;stroke-width:3;paint-order:stroke}",
  ".ground{fill:#fff;stroke:#d0d7de}.grid{stroke:#d0d7de;stroke-width:1}",
  ".line{fill:none;stroke-width:2.2;stroke-linejoin:round}.aim{stroke:#cf222e;stroke-dasharray:5 4;fill:none}",
  coloured(LIGHT),
  "@media (prefers-color-scheme:dark){text{fill:#9198a1}.title,.value{fill:#f0f6fc}.value{stroke:#0d1117}",
  `.ground{fill:#0d1117;stroke:#3d444d}.grid{stroke:#3d444d}.aim{stroke:#ff7b72}${coloured(DARK)}}`,
].join("");

/** A whole picture on its own ground. @param title also for those who hear the page read out */
export function picture(title: string, width: number, height: number, parts: readonly string[]): string {
  const box = { xmlns: "http://www.w3.org/2000/svg", viewBox: `0 0 ${width} ${height}`, width, height, role: "img" };
  const ground = element("rect", {
    class: "ground",
    x: 0.5,
    y: 0.5,
    width: width - 1,
    height: height - 1,
    rx: 6,
  });
  const lines = [element("title", {}, escapeXml(title)), element("style", {}, STYLE), ground, ...parts];
  return element("svg", box, `\n${lines.join("\n")}\n`) + "\n";
}
