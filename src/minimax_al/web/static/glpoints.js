/** Points drawn by WebGL. */

const VERTEX = `
attribute vec2 place;
attribute vec4 colour;
attribute float chosen;
uniform vec2 centre;
uniform vec2 stretch;
uniform float size;
varying vec4 shade;
void main() {
  gl_Position = vec4((place - centre) * stretch, 0.5 - 0.3 * colour.a - 0.4 * chosen, 1.0);
  gl_PointSize = chosen > 0.5 ? size * 1.5 + 2.0 : size;
  shade = vec4(colour.rgb, chosen);
}`;
const FRAGMENT = `
precision mediump float;
uniform vec3 ring;
varying vec4 shade;
void main() {
  vec2 at = gl_PointCoord - 0.5;
  float from = dot(at, at);
  if (from > 0.25) discard;
  gl_FragColor = vec4(shade.a > 0.5 && from > 0.12 ? ring : shade.rgb, 1.0);
}`;

/** Whether a graphics card computes WebGL: software is slower than the painter of pixels. */
function hasCard() {
  const gl = document.createElement("canvas").getContext("webgl", { failIfMajorPerformanceCaveat: true });
  if (gl === null) return false;
  const info = gl.getExtension("WEBGL_debug_renderer_info");
  const name = info === null ? "" : gl.getParameter(info.UNMASKED_RENDERER_WEBGL);
  gl.getExtension("WEBGL_lose_context")?.loseContext();
  return !/swiftshader|llvmpipe|software/i.test(name);
}

export class GlPoints {
  /** The painter of a canvas; null where WebGL is not available, or slow because no graphics card computes it. */
  static on(canvas) {
    if (!hasCard()) return null;
    const gl = canvas.getContext("webgl", { antialias: false, alpha: true, depth: true });
    return gl === null || gl.isContextLost() ? null : new GlPoints(canvas, gl);
  }

  constructor(canvas, gl) {
    Object.assign(this, { canvas, gl, count: 0, most: Infinity }); // most: pixels of a frame while the view moves
    this.program = link(gl);
    gl.useProgram(this.program);
    this.buffers = Object.fromEntries(["place", "colour", "chosen"].map((name) => [name, gl.createBuffer()]));
    this.at = Object.fromEntries(["centre", "stretch", "size", "ring"].map((name) => [name, gl.getUniformLocation(this.program, name)]));
    gl.enable(gl.DEPTH_TEST); // points with a value lie above those without, chosen ones above all
    canvas.addEventListener("webglcontextlost", (event) => event.preventDefault());
  }

  setPoints(points) {
    this.count = points.length / 2;
    this.#fill("place", points, 2, this.gl.FLOAT, false);
  }

  setColours(rgb, chosen) {
    this.#fill("colour", rgb, 4, this.gl.UNSIGNED_BYTE, true);
    this.#fill("chosen", chosen, 1, this.gl.UNSIGNED_BYTE, false);
  }

  paint({ scale, centre, side, size }) {
    const { gl, canvas } = this;
    gl.viewport(0, 0, canvas.width, canvas.height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
    if (this.count === 0) return;
    gl.uniform2f(this.at.centre, ...centre);
    gl.uniform2f(this.at.stretch, (0.96 * scale * side) / canvas.width, (0.96 * scale * side) / canvas.height);
    gl.uniform1f(this.at.size, size);
    gl.uniform3f(this.at.ring, ...ringColour());
    gl.drawArrays(gl.POINTS, 0, this.count);
  }

  #fill(name, values, size, type, normalised) {
    const { gl } = this;
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffers[name]);
    gl.bufferData(gl.ARRAY_BUFFER, values, gl.STATIC_DRAW);
    const at = gl.getAttribLocation(this.program, name);
    gl.enableVertexAttribArray(at);
    gl.vertexAttribPointer(at, size, type, normalised, 0, 0);
  }
}

/** Colour of the ring around chosen points: that of text. */
export const ringColour = () => (matchMedia("(prefers-color-scheme: dark)").matches ? [1, 1, 1] : [0, 0, 0]);

function link(gl) {
  const program = gl.createProgram();
  for (const [type, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
    const shader = gl.createShader(type);
    gl.shaderSource(shader, source);
    gl.compileShader(shader);
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program);
  if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(`The map cannot be drawn: ${gl.getProgramInfoLog(program)}`);
  return program;
}
