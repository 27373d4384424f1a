import type { CustomLayerInterface, CustomRenderMethodInput, Map as MapLibre } from "maplibre-gl";
import { LINE_FRAGMENT, LINE_VERTEX, POINT_FRAGMENT, POINT_VERTEX } from "./shaders";

/** Floats a point: from x y, to x y, start s, duration s, r g b, size px, shape, ring. */
export const POINT_FLOATS = 12;
/** Floats a line: a x y, b x y, r g b, alpha at a, alpha at b, width px. */
export const LINE_FLOATS = 10;

export interface Buffers {
  /** Glides of points; the graphics card moves them, nothing is sent to it between two fixes. */
  points: Float32Array;
  pointCount: number;
  /** Set when `points` changed. */
  dirty: boolean;
  lines: Float32Array;
  lineCount: number;
}

export interface LayerEvents {
  /** Called before each frame with the page's time: fill `lines` for this moment. */
  beforeFrame(nowMs: number): void;
  /** Called when a frame was drawn. */
  afterFrame(nowMs: number): void;
}

/** Wall milliseconds between two frames at least: half of a screen's rate looks as calm, and spares the battery. */
const FRAME_MS = 33;

/**
 * Moving points and lines on a canvas of their own above the map: the map is drawn again only when somebody moves it,
 * not thirty times a second. Positions are in mercator units relative to `origin`.
 *
 * It is a layer of the map too, one that draws nothing: so it learns the map's matrix with every frame of the map, and
 * draws with it at once.
 */
export class MotionLayer implements CustomLayerInterface {
  readonly id = "motion";
  readonly type = "custom" as const;
  readonly renderingMode = "2d" as const;
  private readonly canvas = document.createElement("canvas");
  private gl: WebGL2RenderingContext | null = null;
  private map: MapLibre | null = null;
  private matrix: Float32Array | null = null;
  private points: Program | null = null;
  private lines: Program | null = null;
  private timer = 0;

  constructor(
    private readonly origin: readonly [number, number],
    private readonly buffers: Buffers,
    private readonly events: LayerEvents,
    /** Zero of the time given to the graphics card, whose floats are too short for milliseconds since 1970. */
    private readonly epochMs: number,
  ) {
    this.canvas.className = "motion";
  }

  onAdd(map: MapLibre): void {
    this.map = map;
    map.getCanvasContainer().append(this.canvas);
    this.canvas.addEventListener("webglcontextrestored", () => this.begin());
    this.begin();
  }

  onRemove(): void {
    window.clearTimeout(this.timer);
    this.canvas.remove();
    this.gl?.getExtension("WEBGL_lose_context")?.loseContext();
    this.gl = null;
    this.map = null;
  }

  /** The map draws: keep its matrix, and follow at once. */
  render(_: WebGLRenderingContext | WebGL2RenderingContext, input: CustomRenderMethodInput): void {
    this.matrix = translated(input.defaultProjectionData.mainMatrix as unknown as ArrayLike<number>, this.origin);
    this.draw();
  }

  private begin(): void {
    this.gl = this.canvas.getContext("webgl2", { antialias: false, depth: false, stencil: false });
    if (this.gl === null) return;
    this.points = new Program(this.gl, POINT_VERTEX, POINT_FRAGMENT, [
      ["a_from", 2],
      ["a_to", 2],
      ["a_time", 2],
      ["a_color", 3],
      ["a_look", 3],
    ]);
    this.lines = new Program(this.gl, LINE_VERTEX, LINE_FRAGMENT, [
      ["a_a", 2],
      ["a_b", 2],
      ["a_color", 3],
      ["a_alpha", 2],
      ["a_width", 1],
    ]);
    this.buffers.dirty = true;
  }

  private readonly draw = (): void => {
    const { gl, map, matrix } = this;
    if (map === null) return;
    window.clearTimeout(this.timer);
    this.timer = window.setTimeout(() => requestAnimationFrame(this.draw), FRAME_MS);
    if (gl === null || gl.isContextLost() || matrix === null) return;
    const nowMs = performance.now();
    this.events.beforeFrame(nowMs);
    const { width, height } = map.getCanvas();
    if (this.canvas.width !== width) this.canvas.width = width;
    if (this.canvas.height !== height) this.canvas.height = height;
    gl.viewport(0, 0, width, height);
    gl.clearColor(0, 0, 0, 0);
    gl.clear(gl.COLOR_BUFFER_BIT);
    gl.enable(gl.BLEND);
    gl.blendFunc(gl.ONE, gl.ONE_MINUS_SRC_ALPHA);
    this.drawLines(gl, matrix);
    this.drawPoints(gl, matrix, nowMs);
    this.events.afterFrame(nowMs);
  };

  private drawLines(gl: WebGL2RenderingContext, matrix: Float32Array): void {
    const { lines, lineCount } = this.buffers;
    if (this.lines === null || lineCount === 0) return;
    this.lines.use(gl, lines.subarray(0, lineCount * LINE_FLOATS));
    gl.uniformMatrix4fv(this.lines.uniform("u_matrix"), false, matrix);
    gl.uniform2f(this.lines.uniform("u_screen"), gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.uniform1f(this.lines.uniform("u_ratio"), window.devicePixelRatio);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, lineCount);
  }

  private drawPoints(gl: WebGL2RenderingContext, matrix: Float32Array, nowMs: number): void {
    const { points, pointCount, dirty } = this.buffers;
    if (this.points === null || pointCount === 0) return;
    this.points.use(gl, dirty ? points.subarray(0, pointCount * POINT_FLOATS) : null);
    this.buffers.dirty = false;
    gl.uniformMatrix4fv(this.points.uniform("u_matrix"), false, matrix);
    gl.uniform2f(this.points.uniform("u_screen"), gl.drawingBufferWidth, gl.drawingBufferHeight);
    gl.uniform1f(this.points.uniform("u_ratio"), window.devicePixelRatio);
    gl.uniform1f(this.points.uniform("u_now"), (nowMs - this.epochMs) / 1000);
    gl.uniform1f(this.points.uniform("u_zoom"), this.map?.getZoom() ?? 12);
    gl.drawArraysInstanced(gl.TRIANGLE_STRIP, 0, 4, pointCount);
  }
}

/** One instanced quad program with its buffer. */
class Program {
  private readonly program: WebGLProgram;
  private readonly vao: WebGLVertexArrayObject;
  private readonly buffer: WebGLBuffer;
  private readonly uniforms = new Map<string, WebGLUniformLocation | null>();

  constructor(
    private readonly gl: WebGL2RenderingContext,
    vertex: string,
    fragment: string,
    attributes: readonly (readonly [string, number])[],
  ) {
    this.program = gl.createProgram();
    for (const [kind, source] of [
      [gl.VERTEX_SHADER, vertex],
      [gl.FRAGMENT_SHADER, fragment],
    ] as const) {
      const shader = gl.createShader(kind)!;
      gl.shaderSource(shader, source);
      gl.compileShader(shader);
      if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader) ?? "shader");
      gl.attachShader(this.program, shader);
    }
    gl.linkProgram(this.program);
    this.vao = gl.createVertexArray();
    this.buffer = gl.createBuffer();
    gl.bindVertexArray(this.vao);
    gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
    const stride = attributes.reduce((sum, [, size]) => sum + size, 0) * 4;
    let offset = 0;
    for (const [name, size] of attributes) {
      const place = gl.getAttribLocation(this.program, name);
      gl.enableVertexAttribArray(place);
      gl.vertexAttribPointer(place, size, gl.FLOAT, false, stride, offset);
      gl.vertexAttribDivisor(place, 1);
      offset += size * 4;
    }
    gl.bindVertexArray(null);
  }

  uniform(name: string): WebGLUniformLocation | null {
    if (!this.uniforms.has(name)) this.uniforms.set(name, this.gl.getUniformLocation(this.program, name));
    return this.uniforms.get(name) ?? null;
  }

  use(gl: WebGL2RenderingContext, data: Float32Array | null): void {
    gl.useProgram(this.program);
    gl.bindVertexArray(this.vao);
    if (data !== null) {
      gl.bindBuffer(gl.ARRAY_BUFFER, this.buffer);
      gl.bufferData(gl.ARRAY_BUFFER, data, gl.DYNAMIC_DRAW);
    }
  }
}

/** matrix * translate(origin), computed in doubles so that what reaches the card is exact to centimetres. */
function translated(m: ArrayLike<number>, origin: readonly [number, number]): Float32Array {
  const out = new Float32Array(16);
  for (let i = 0; i < 12; i++) out[i] = m[i]!;
  for (let i = 0; i < 4; i++) out[12 + i] = m[i]! * origin[0] + m[4 + i]! * origin[1] + m[12 + i]!;
  return out;
}
