/**
 * The directional step of the clustering (DDBSCAN of the reference): straight seeds become tracks that grow along a
 * polynomial, may take points of others, and leave the rest to plain DBSCAN.
 *
 *  1. Seeds are the clusters of plain DBSCAN. Those with more points than the minimum are tested for straightness.
 *     Without a candidate the seeds are the answer.
 *  2. Candidates in order of accuracy (perfect ones by length): flood from the first core point through all points,
 *     polynomial of order 1, else 2, else the candidate is given up.
 *  3. Extension: points within the reach of the track and inside its tube are taken, also from earlier tracks; refit;
 *     again, at most `directionalMaximumAttempts` times more. Without growth or fit once with order 2, then the end.
 *  4. Tracks left with fewer points than the minimum are dissolved. Points closer than the isolation radius to a track
 *     are dropped. The rest is clustered again; what is smaller than the smallest seed is dropped.
 *
 * Not followed: the reference's limit of 300 s per fit, and its label numbers with gaps (ours are 0 .. clusters - 1).
 * All coordinates are cells. Deterministic in every mode.
 */
import {
  createNeighbourhoodScratch,
  flood,
  floodClusters,
  halfWidths,
  markCores,
  offerPoints,
  withdrawPoint,
} from './cell-neighbourhood.ts'
import type { NeighbourhoodScratch } from './cell-neighbourhood.ts'
import { fitTubeFast, fitTubeRansac, insideTube } from './directional-fit.ts'
import type { Coordinates, Order, Polynomial } from './directional-fit.ts'
import { createStraightnessScratch, straightness } from './directional-straightness.ts'
import type { StraightnessScratch } from './directional-straightness.ts'
import type { CellPoints } from './noise-reducer.ts'
import { createDraws, mixSeed } from './seeded-random.ts'
import type { Draws } from './seeded-random.ts'
import type { ReconstructionParameters } from '../parameters.ts'

export interface DirectionalScratch {
  neighbourhood: NeighbourhoodScratch
  straight: StraightnessScratch
  row: Float64Array
  column: Float64Array
  core: Uint8Array
  occupied: Uint8Array
  /** Points by seed, then the members of the present track. */
  order: Int32Array
  members: Int32Array
  /** Linked lists of points to be taken, by square of the reach. */
  link: Int32Array
}

export function createDirectionalScratch(columns: number, rows: number): DirectionalScratch {
  const cells = columns * rows
  return {
    neighbourhood: createNeighbourhoodScratch(columns, rows),
    straight: createStraightnessScratch(cells),
    row: new Float64Array(cells),
    column: new Float64Array(cells),
    core: new Uint8Array(cells),
    occupied: new Uint8Array(cells),
    order: new Int32Array(cells),
    members: new Int32Array(cells),
    link: new Int32Array(cells),
  }
}

export interface DirectionalOutcome {
  /** Clusters after the step. */
  clusters: number
  /** By label: whether the cluster is a track of this step. */
  directional: boolean[]
}

const free = -1
const dropped = -2

interface Candidate {
  accuracy: number
  length: number
  seed: number
}

/**
 * Replaces the labels of plain DBSCAN (`labels`, `seeds` clusters) by those of the directional step. `randomSeed` only
 * matters in the faithful mode.
 */
export function directionalClusters(
  points: CellPoints,
  labels: Int32Array,
  seeds: number,
  parameters: ReconstructionParameters,
  scratch: DirectionalScratch,
  randomSeed: number,
): DirectionalOutcome {
  const start = groupSeeds(points.count, labels, seeds, scratch.order)
  const candidates: Candidate[] = []
  let smallest = Infinity
  for (let seed = 0; seed < seeds; seed++) {
    const length = start[seed + 1]! - start[seed]!
    if (length < smallest) smallest = length
    if (length <= parameters.directionalMinimumCells) continue
    const accuracy = accuracyOf(points, start[seed]!, length, parameters, scratch, mixSeed(randomSeed, seed))
    if (accuracy > parameters.directionalMinimumAccuracy) candidates.push({ accuracy, length, seed })
  }
  if (candidates.length === 0) {
    return { clusters: seeds, directional: new Array<boolean>(seeds).fill(false) }
  }
  candidates.sort((a, b) => b.accuracy - a.accuracy || (a.accuracy === 1 ? b.length - a.length : 0) || a.seed - b.seed)

  const { core, neighbourhood } = scratch
  const widths = halfWidths(parameters.clusterMetric, parameters.clusterRadiusCells)
  markCores(points, widths, parameters.clusterMinimumWeightCounts, neighbourhood, core)
  const begins = candidates.map(({ seed, length }) =>
    scratch.order.subarray(start[seed], start[seed]! + length).find((index) => core[index] === 1),
  )
  labels.fill(free, 0, points.count)
  let tracks = 0
  let offered = false
  begins.forEach((begin, rank) => {
    if (begin === undefined || labels[begin] !== free) return
    if (!offered) offerPoints(points, labels, free, neighbourhood)
    offered = true
    const size = flood(points, begin, widths, core, parameters.expandNonCore === 1, neighbourhood)
    const members = scratch.members
    members.set(neighbourhood.queue.subarray(0, size))
    for (let at = 0; at < size; at++) labels[members[at]!] = tracks
    if (size > parameters.directionalMinimumCells) {
      const seed = mixSeed(randomSeed, candidates[rank]!.seed, 1)
      if (!extendTrack(points, labels, tracks, size, parameters, scratch, seed)) {
        for (let at = 0; at < size; at++) labels[members[at]!] = free
        offered = false
        return
      }
    }
    tracks++
  })
  dissolveSmall(points.count, labels, tracks, parameters.directionalMinimumCells)
  isolateTracks(points, labels, parameters.isolationRadiusCells, scratch)
  const options = { free, first: tracks, dropped, minimumPoints: smallest }
  const others = floodClusters(points, core, widths, labels, options, neighbourhood)
  return renumber(points.count, labels, tracks, others)
}

function groupSeeds(count: number, labels: Int32Array, seeds: number, order: Int32Array): Int32Array {
  const start = new Int32Array(seeds + 1)
  for (let index = 0; index < count; index++) {
    const label = labels[index]!
    if (label >= 0) start[label + 1] = start[label + 1]! + 1
  }
  for (let seed = 0; seed < seeds; seed++) start[seed + 1] = start[seed + 1]! + start[seed]!
  const next = start.slice()
  for (let index = 0; index < count; index++) {
    const label = labels[index]!
    if (label < 0) continue
    order[next[label]!] = index
    next[label] = next[label]! + 1
  }
  return start
}

function accuracyOf(
  points: CellPoints,
  begin: number,
  length: number,
  parameters: ReconstructionParameters,
  scratch: DirectionalScratch,
  seed: number,
): number {
  const { row, column, order, straight } = scratch
  for (let at = 0; at < length; at++) {
    row[at] = points.y[order[begin + at]!]!
    column[at] = points.x[order[begin + at]!]!
  }
  const draws = parameters.directionalMode === 'faithful' ? createDraws(seed) : undefined
  return straightness({ row, column, n: length }, parameters.directionalMinimumAccuracy, straight, draws)
}

/** Grows the track of `label` whose members are scratch.members[0 .. size - 1]; false when no polynomial fits it at all. */
function extendTrack(
  points: CellPoints,
  labels: Int32Array,
  label: number,
  size: number,
  parameters: ReconstructionParameters,
  scratch: DirectionalScratch,
  seed: number,
): boolean {
  const draws = parameters.directionalMode === 'faithful' ? createDraws(seed) : undefined
  const thickness = parameters.directionalThicknessCells
  let order: Order = 1
  let members = size
  let fit = fitTrack(points, members, order, thickness, scratch, draws)
  if (fit === undefined) {
    order = 2
    fit = fitTrack(points, members, order, thickness, scratch, draws)
  }
  if (fit === undefined) return false
  let before = 0
  for (let attempt = 1; ; attempt++) {
    members = absorb(points, labels, label, members, fit, parameters, scratch)
    fit = fitTrack(points, members, order, thickness, scratch, draws)
    if (attempt > parameters.directionalMaximumAttempts) return true
    if (members === before || fit === undefined) {
      if (order === 2) return true
      order = 2
      fit = fitTrack(points, members, order, thickness, scratch, draws)
      if (fit === undefined) return true
    }
    before = members
  }
}

interface TrackFit {
  polynomial: Polynomial
  /** u is the column (v the row) of the frame, otherwise the other way round. */
  alongColumns: boolean
}

function fitTrack(
  points: CellPoints,
  size: number,
  order: Order,
  thickness: number,
  scratch: DirectionalScratch,
  draws: Draws | undefined,
): TrackFit | undefined {
  const { members } = scratch
  let sumX = 0
  let sumY = 0
  let squareX = 0
  let squareY = 0
  for (let at = 0; at < size; at++) {
    const x = points.x[members[at]!]!
    const y = points.y[members[at]!]!
    scratch.column[at] = x
    scratch.row[at] = y
    sumX += x
    sumY += y
    squareX += x * x
    squareY += y * y
  }
  const alongColumns = squareX * size - sumX * sumX > squareY * size - sumY * sumY
  const coordinates: Coordinates = {
    u: alongColumns ? scratch.column : scratch.row,
    v: alongColumns ? scratch.row : scratch.column,
    n: size,
  }
  const polynomial =
    draws === undefined
      ? fitTubeFast(coordinates, order, thickness)
      : fitTubeRansac(coordinates, order, thickness, draws)
  return polynomial && { polynomial, alongColumns }
}

/**
 * Takes all points inside the tube that can be reached from the track in steps of at most the directional radius;
 * returns the new number of members.
 */
function absorb(
  points: CellPoints,
  labels: Int32Array,
  label: number,
  size: number,
  { polynomial, alongColumns }: TrackFit,
  parameters: ReconstructionParameters,
  scratch: DirectionalScratch,
): number {
  const { members, link, core, neighbourhood } = scratch
  const { count, x, y } = points
  const radius = parameters.directionalRadiusCells
  const side = Math.max(1, Math.floor(radius))
  const across = Math.ceil(neighbourhood.columns / side)
  const down = Math.ceil(neighbourhood.rows / side)
  const first = new Int32Array(across * down).fill(-1)
  const u = alongColumns ? x : y
  const v = alongColumns ? y : x
  let waiting = 0
  for (let index = 0; index < count; index++) {
    if (labels[index] === label) continue
    if (!insideTube(polynomial, parameters.directionalThicknessCells, u[index]!, v[index]!)) continue
    const square = Math.floor(y[index]! / side) * across + Math.floor(x[index]! / side)
    link[index] = first[square]!
    first[square] = index
    waiting++
  }
  const euclidean = parameters.clusterMetric === 'euclidean'
  let end = size
  for (let at = 0; at < end && waiting > 0; at++) {
    const member = members[at]!
    if (parameters.expandNonCore !== 1 && core[member] === 0) continue
    const column = x[member]!
    const row = y[member]!
    const squareX = Math.floor(column / side)
    const squareY = Math.floor(row / side)
    for (let nearY = Math.max(0, squareY - 1); nearY <= Math.min(down - 1, squareY + 1); nearY++) {
      for (let nearX = Math.max(0, squareX - 1); nearX <= Math.min(across - 1, squareX + 1); nearX++) {
        const square = nearY * across + nearX
        let previous = -1
        for (let index = first[square]!; index >= 0; index = link[index]!) {
          const dx = Math.abs(x[index]! - column)
          const dy = Math.abs(y[index]! - row)
          if (euclidean ? dx * dx + dy * dy > radius * radius : dx + dy > radius) {
            previous = index
            continue
          }
          if (previous < 0) first[square] = link[index]!
          else link[previous] = link[index]!
          if (labels[index] === free) withdrawPoint(points, index, neighbourhood)
          labels[index] = label
          members[end++] = index
          waiting--
        }
      }
    }
  }
  return end
}

function dissolveSmall(count: number, labels: Int32Array, tracks: number, minimum: number): void {
  const sizes = new Int32Array(tracks)
  for (let index = 0; index < count; index++) {
    if (labels[index]! >= 0) sizes[labels[index]!] = sizes[labels[index]!]! + 1
  }
  for (let index = 0; index < count; index++) {
    if (labels[index]! >= 0 && sizes[labels[index]!]! < minimum) labels[index] = free
  }
}

/** Drops the points that lie closer than the radius to a track without being part of one. */
function isolateTracks(points: CellPoints, labels: Int32Array, radius: number, scratch: DirectionalScratch): void {
  const { count, x, y } = points
  const { columns, rows } = scratch.neighbourhood
  const { occupied } = scratch
  // Cells at a whole distance of exactly the radius are not closer than it.
  const reach = Math.ceil(radius) - 1
  const widths = Array.from({ length: Math.max(0, reach + 1) }, (_, dy) => {
    let half = -1
    while ((half + 1) ** 2 + dy * dy < radius * radius) half++
    return half
  })
  for (let index = 0; index < count; index++) {
    if (labels[index]! >= 0) occupied[y[index]! * columns + x[index]!] = 1
  }
  for (let index = 0; index < count; index++) {
    if (labels[index] !== free) continue
    const row = y[index]!
    const column = x[index]!
    let near = false
    for (let dy = -reach; dy <= reach && !near; dy++) {
      if (row + dy < 0 || row + dy >= rows) continue
      const half = widths[Math.abs(dy)]!
      const offset = (row + dy) * columns
      const last = offset + Math.min(columns - 1, column + half)
      for (let at = offset + Math.max(0, column - half); at <= last && !near; at++) near = occupied[at] === 1
    }
    if (near) labels[index] = dropped
  }
  for (let index = 0; index < count; index++) occupied[y[index]! * columns + x[index]!] = 0
}

/** Labels without gaps, tracks first; dropped points become noise. */
function renumber(count: number, labels: Int32Array, tracks: number, others: number): DirectionalOutcome {
  const used = new Int32Array(tracks + others).fill(-1)
  for (let index = 0; index < count; index++) if (labels[index]! >= 0) used[labels[index]!] = 0
  let clusters = 0
  const directional: boolean[] = []
  for (let label = 0; label < used.length; label++) {
    if (used[label] !== 0) continue
    used[label] = clusters++
    directional.push(label < tracks)
  }
  for (let index = 0; index < count; index++) labels[index] = labels[index]! >= 0 ? used[labels[index]!]! : -1
  return { clusters, directional }
}
