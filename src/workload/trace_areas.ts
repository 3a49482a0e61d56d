/** What a process of a trace has mapped: areas that do not overlap, in no order. All ranges are bytes. */

export interface Area {
  readonly start: number
  readonly end: number
  readonly writable: boolean
  readonly shared: boolean
  /** Of a stack: the event that mapped it. */
  readonly stackOf: number | undefined
}

export const areaAt = (areas: readonly Area[], address: number): Area | undefined =>
  areas.find(({ start, end }) => start <= address && address < end)

/** The areas without a range. */
export const cutAreas = (areas: readonly Area[], address: number, bytes: number): Area[] => setAreas(areas, address, bytes, () => undefined)

/** Replaces what lies in a range, split from what does not. */
export function setAreas(areas: readonly Area[], address: number, bytes: number, change: (area: Area) => Area | undefined): Area[] {
  const end = address + bytes
  return areas.flatMap(area => {
    if (area.end <= address || area.start >= end) return [area]
    const inside = change({ ...area, start: Math.max(area.start, address), end: Math.min(area.end, end) })
    return [
      ...(area.start < address ? [{ ...area, end: address }] : []),
      ...(inside === undefined ? [] : [inside]),
      ...(area.end > end ? [{ ...area, start: end }] : []),
    ]
  })
}

export interface Move {
  readonly address: number
  readonly bytes: number
  readonly newAddress: number
  readonly newBytes: number
}

/** mremap: the area at `address` with another size, at another place. */
export function moveAreas(areas: readonly Area[], { address, bytes, newAddress, newBytes }: Move): Area[] {
  const area = areaAt(areas, address)
  if (area === undefined) return [...areas]
  const rest = cutAreas(cutAreas(areas, address, bytes), newAddress, newBytes)
  return [...rest, { ...area, start: newAddress, end: newAddress + newBytes }]
}
