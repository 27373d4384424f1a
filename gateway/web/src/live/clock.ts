/** The line that ties the city's time to the wall's: domain = anchorDomain + (wall - anchorWall) * speed. */
export interface ClockLine {
  speed: number;
  anchor_wall_ms: number;
  anchor_domain_ms: number;
}

export function wallOfDomain(line: ClockLine, domainMs: number): number {
  return line.anchor_wall_ms + (domainMs - line.anchor_domain_ms) / line.speed;
}

export function domainOfWall(line: ClockLine, wallMs: number): number {
  return line.anchor_domain_ms + (wallMs - line.anchor_wall_ms) * line.speed;
}
