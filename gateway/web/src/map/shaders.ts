/** Points: a quad each, moved along its glide by the card itself. Shapes: 0 disc, 1 ring, 2 diamond. */
export const POINT_VERTEX = `#version 300 es
precision highp float;
in vec2 a_from;
in vec2 a_to;
in vec2 a_time;
in vec3 a_color;
in vec3 a_look;
uniform mat4 u_matrix;
uniform vec2 u_screen;
uniform float u_ratio;
uniform float u_now;
uniform float u_zoom;
out vec2 v_at;
out vec3 v_color;
out float v_shape;
out float v_glow;
out float v_size;
void main() {
  float t = clamp((u_now - a_time.x) / a_time.y, 0.0, 1.0);
  vec4 place = u_matrix * vec4(mix(a_from, a_to, t), 0.0, 1.0);
  vec2 corner = vec2(float(gl_VertexID & 1), float(gl_VertexID >> 1)) * 2.0 - 1.0;
  float scale = clamp(0.62 + (u_zoom - 11.0) * 0.16, 0.5, 1.5);
  float reach = a_look.x * scale * (a_look.z > 0.0 ? 2.6 : 1.25) * u_ratio;
  place.xy += corner * reach * 2.0 / u_screen * place.w;
  gl_Position = place;
  v_at = corner * (a_look.z > 0.0 ? 2.6 : 1.25);
  v_color = a_color;
  v_shape = a_look.y;
  v_glow = a_look.z;
  v_size = a_look.x * scale * u_ratio;
}`;

export const POINT_FRAGMENT = `#version 300 es
precision highp float;
in vec2 v_at;
in vec3 v_color;
in float v_shape;
in float v_glow;
in float v_size;
out vec4 color;
void main() {
  float soft = 1.2 / v_size;
  float d = v_shape > 1.5 ? (abs(v_at.x) + abs(v_at.y)) * 0.85 : length(v_at);
  float body = 1.0 - smoothstep(1.0 - soft, 1.0 + soft, d);
  if (v_shape > 0.5 && v_shape < 1.5) body *= smoothstep(0.56 - soft, 0.56 + soft, d);
  float rim = v_shape < 0.5 ? smoothstep(0.68, 0.95, d) * 0.55 : 0.0;
  float halo = v_glow * 0.34 * pow(max(0.0, 1.0 - d / 2.6), 2.0);
  vec3 ink = mix(v_color, vec3(0.03, 0.04, 0.06), rim);
  float alpha = max(body, halo);
  color = vec4(mix(v_color, ink, body) * alpha, alpha);
}`;

export const LINE_VERTEX = `#version 300 es
precision highp float;
in vec2 a_a;
in vec2 a_b;
in vec3 a_color;
in vec2 a_alpha;
in float a_width;
uniform mat4 u_matrix;
uniform vec2 u_screen;
uniform float u_ratio;
out vec4 v_color;
out float v_side;
out float v_half;
void main() {
  vec4 a = u_matrix * vec4(a_a, 0.0, 1.0);
  vec4 b = u_matrix * vec4(a_b, 0.0, 1.0);
  vec2 along = (b.xy / b.w - a.xy / a.w) * u_screen;
  vec2 across = length(along) > 0.001 ? normalize(vec2(-along.y, along.x)) : vec2(0.0);
  float end = float(gl_VertexID >> 1);
  float side = float(gl_VertexID & 1) * 2.0 - 1.0;
  vec4 place = mix(a, b, end);
  float reach = a_width * u_ratio * 0.5 + 1.0;
  place.xy += across * side * reach * 2.0 / u_screen * place.w;
  gl_Position = place;
  v_color = vec4(a_color, mix(a_alpha.x, a_alpha.y, end));
  v_side = side * reach;
  v_half = a_width * u_ratio * 0.5;
}`;

export const LINE_FRAGMENT = `#version 300 es
precision highp float;
in vec4 v_color;
in float v_side;
in float v_half;
out vec4 color;
void main() {
  float edge = 1.0 - smoothstep(v_half - 0.5, v_half + 1.0, abs(v_side));
  float alpha = v_color.a * edge;
  color = vec4(v_color.rgb * alpha, alpha);
}`;
