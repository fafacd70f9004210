/** The process of `adopt.ts`: a specification on standard input, its answer on standard output. */
import { open, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { parquetMetadataAsync, parquetReadObjects } from 'hyparquet'
import type { AsyncBuffer } from 'hyparquet'
import { z } from 'zod'
import { unknownSurroundings } from '../detector/index.ts'
import { adoptSpec, refusedAnswer } from './adopt.ts'
import type { AdoptAnswer, AdoptSpec } from './adopt.ts'
import { neutralDetails } from './cluster-detail-columns.ts'
import { clusterColumns } from './contract.ts'
import type { Cluster } from './contract.ts'
import { defaultParameters } from './parameters.ts'
import { productNames } from './payload-spec.ts'
import { readPedestalHeader } from './pedestal-file.ts'
import { hashFiles, outlineColumn, writeClusterFile, writeEventFile } from './products.ts'
import type { ImageRows } from './products.ts'
import { createRunTally } from './run-tally.ts'

const mostClusters = 300_000
const mostImages = 1_000_000
const mostSummaryBytes = 1024 * 1024
const mostNumbers = 100
const largestInt = 2 ** 31 - 1

interface FoundCluster {
  cluster: Cluster
  outline: string
}

type Row = Record<string, unknown>

async function adopt(spec: AdoptSpec): Promise<AdoptAnswer> {
  const problems: string[] = []
  const numbers = await readNumbers(spec.summaryPath, problems)
  let found: FoundCluster[] = []
  if (spec.clustersPath === null) problems.push('the script left no clusters.parquet')
  else {
    const read = await readFound(spec.clustersPath, problems)
    if (typeof read === 'string') return refusedAnswer(read)
    found = read
  }
  const said = spec.images ?? numbers.images ?? 0
  const last = found.reduce((most, { cluster }) => Math.max(most, cluster.event), -1)
  if (last >= mostImages) return refusedAnswer(`its clusters.parquet speaks of event ${last}`)
  const images = Math.max(last + 1, Number.isInteger(said) && said > 0 ? Math.min(said, mostImages) : 0)
  const rows = await imageRows(found, images, spec.pedestalPath)
  const { run, campaign, codeVersion, calibrationId } = spec.lineage
  const lineage = { run, campaign, codeVersion, calibrationId, parameters: spec.parameters, origin: spec.lineage }
  const clusterPath = join(spec.outFolder, productNames.clusters)
  const eventPath = join(spec.outFolder, productNames.events)
  writeClusterFile(clusterPath, rows, lineage)
  writeEventFile(eventPath, rows, lineage)
  const tally = createRunTally([])
  tally.addClusters(found.map(({ cluster }) => cluster))
  const { clusters, selectedClusters, selectedLightCounts, histograms } = tally.finish()
  return {
    refusal: null,
    problems,
    totals: {
      images,
      imagesReconstructed: images,
      clusters,
      selectedClusters,
      selectedLightCounts,
      histograms,
      numbers,
    },
    contentSha256: await hashFiles([clusterPath, eventPath]),
  }
}

/** The numbers of a script's summary.json; efficiency and purity only where they can be such. */
async function readNumbers(path: string | null, problems: string[]): Promise<Record<string, number>> {
  if (path === null) return {}
  try {
    if ((await stat(path)).size > mostSummaryBytes) throw new Error('it is too large')
    const file = await open(path, 'r')
    const given = z.record(z.string(), z.unknown()).parse(JSON.parse(await file.readFile('utf8')))
    await file.close()
    const numbers = Object.entries(given).filter(
      (entry): entry is [string, number] =>
        typeof entry[1] === 'number' && Number.isFinite(entry[1]) && /^[A-Za-z][A-Za-z0-9 _.-]{0,59}$/.test(entry[0]),
    )
    const shares = new Set(['efficiency', 'purity'])
    return Object.fromEntries(
      numbers.filter(([name, value]) => !shares.has(name) || (value >= 0 && value <= 1)).slice(0, mostNumbers),
    )
  } catch {
    problems.push('its summary.json is not a JSON object with numbers and was not used')
    return {}
  }
}

/** In event, camera and light order; a string says why the file cannot be taken. */
async function readFound(path: string, problems: string[]): Promise<FoundCluster[] | string> {
  let rows: Row[]
  let columns: Set<string>
  const handle = await open(path, 'r')
  try {
    const { size } = await handle.stat()
    const file: AsyncBuffer = {
      byteLength: size,
      async slice(start, end = size) {
        const bytes = new Uint8Array(end - start)
        const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
        return bytes.buffer.slice(0, bytesRead)
      },
    }
    const metadata = await parquetMetadataAsync(file)
    columns = new Set(metadata.schema.map(({ name }) => name))
    if (metadata.num_rows > BigInt(mostClusters))
      return `its clusters.parquet has ${metadata.num_rows} rows; a run may have ${mostClusters}`
    const wanted = [...clusterColumns.map(({ column }) => column as string), outlineColumn]
    const present = wanted.filter((column) => columns.has(column))
    rows = await parquetReadObjects({ file, metadata, columns: present })
  } catch (error) {
    return `its clusters.parquet cannot be read: ${error instanceof Error ? error.message.slice(0, 200) : 'no reason'}`
  } finally {
    await handle.close()
  }
  if (!columns.has('event')) return 'its clusters.parquet has no column event'
  const missing = ['integral_counts', 'x_mean_px', 'y_mean_px'].filter((column) => !columns.has(column))
  if (missing.length > 0) problems.push(`clusters.parquet has no column ${missing.join(', ')}`)
  const found = rows.map((row) => foundCluster(row, columns))
  if (found.some(({ cluster }) => cluster.event < 0)) return 'its clusters.parquet has rows without an event number'
  found.sort(
    ({ cluster: a }, { cluster: b }) =>
      a.event - b.event || a.camera - b.camera || b.integralCounts - a.integralCounts || a.cluster - b.cluster,
  )
  let rank = 0
  for (const [index, { cluster }] of found.entries()) {
    const before = found[index - 1]?.cluster
    rank = before?.event === cluster.event && before.camera === cluster.camera ? rank + 1 : 0
    cluster.cluster = rank
  }
  return found
}

function foundCluster(row: Row, columns: ReadonlySet<string>): FoundCluster {
  const values: Record<string, number | boolean> = { ...neutralDetails }
  for (const { name, column, storage } of clusterColumns) {
    if (storage === 'BOOLEAN') values[name] = row[column] === true || row[column] === 1
    else if (columns.has(column) || !(name in values)) values[name] = numberOf(row[column], storage)
  }
  const cluster = values as unknown as Cluster
  if (!columns.has('camera')) cluster.camera = 0
  if (!columns.has('selected')) {
    cluster.selected =
      !columns.has('rms_counts') ||
      (cluster.rmsCounts > defaultParameters.selectionMinimumRmsCounts &&
        cluster.integralCounts > defaultParameters.selectionMinimumIntegralCounts)
  }
  if (!columns.has('density_counts_per_px') && cluster.hitsPx > 0)
    cluster.densityCountsPerPx = cluster.integralCounts / cluster.hitsPx
  return { cluster, outline: outlineOf(row[outlineColumn], cluster, columns) }
}

/** What cannot be such a number is -1, as everywhere in the table. */
function numberOf(value: unknown, storage: 'INT32' | 'FLOAT'): number {
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || !Number.isFinite(number)) return -1
  if (storage === 'FLOAT') return Math.abs(number) > 3e38 ? -1 : number
  return Math.abs(number) > largestInt ? -1 : Math.round(number)
}

const ringsSchema = z.array(z.array(z.int()).max(100_000)).max(10_000)

/** The script's own borders, or the box of the cluster, or none. */
function outlineOf(given: unknown, cluster: Cluster, columns: ReadonlySet<string>): string {
  if (typeof given === 'string' && given.length < 1_000_000) {
    try {
      return JSON.stringify(ringsSchema.parse(JSON.parse(given)))
    } catch {
      // Not borders: the box.
    }
  }
  const { xMinPx, xMaxPx, yMinPx, yMaxPx } = cluster
  const hasBox = ['x_min_px', 'x_max_px', 'y_min_px', 'y_max_px'].every((column) => columns.has(column))
  if (!hasBox || xMaxPx < xMinPx || yMaxPx < yMinPx) return '[]'
  const [right, below] = [xMaxPx + 1, yMaxPx + 1]
  return JSON.stringify([[xMinPx, yMinPx, right, yMinPx, right, below, xMinPx, below]])
}

/** One row per image and camera, in event order, whether or not it has clusters. */
async function imageRows(found: readonly FoundCluster[], images: number, pedestalPath: string): Promise<ImageRows[]> {
  const { cameras } = await readPedestalHeader(pedestalPath)
  const sizes = new Map(cameras.map(({ camera, width, height }) => [camera, { width, height }]))
  const rows = new Map<string, ImageRows>()
  const rowOf = (event: number, camera: number) => {
    const key = `${event}/${camera}`
    const known = rows.get(key)
    if (known !== undefined) return known
    const { width, height } = sizes.get(camera) ?? { width: 0, height: 0 }
    const row = {
      event,
      camera,
      atMs: null,
      widthPx: width,
      heightPx: height,
      macroHits: 0,
      clusters: 0,
      selectedClusters: 0,
      zeroSuppressedSumCounts: 0,
      note: '',
      ...unknownSurroundings,
    }
    const made: ImageRows = { row, clusters: [], outlines: [] }
    rows.set(key, made)
    return made
  }
  for (let event = 0; event < images; event++) rowOf(event, 0)
  for (const { cluster, outline } of found) {
    const { row, clusters, outlines } = rowOf(cluster.event, cluster.camera)
    clusters.push(cluster)
    outlines.push(outline)
    row.clusters++
    if (cluster.selected) row.selectedClusters++
  }
  return [...rows.values()].sort((a, b) => a.row.event - b.row.event || a.row.camera - b.row.camera)
}

const spec = adoptSpec.parse(JSON.parse(await text(process.stdin)))
process.stdout.write(JSON.stringify(await adopt(spec)))
