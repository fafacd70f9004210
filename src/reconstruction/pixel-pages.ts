/**
 * The pixels of one image as finished Parquet column chunks: the threads that find them encode them, so that the thread
 * that writes `pixels.parquet` only appends bytes. One row group per image.
 *
 * Integers are delta packed. The counts are multiples of 0.1 with a few thousand different values, so they become indices
 * into a dictionary; where that does not pay they stay plain.
 */
import type { ColumnChunk, Encoding, SchemaElement } from 'hyparquet'
import { ByteWriter } from 'hyparquet-writer/src/bytewriter.js'
import { writeDataPageV2, writePageHeader } from 'hyparquet-writer/src/datapage.js'
import { writeDictionaryPage } from 'hyparquet-writer/src/dictionary.js'
import { snappyCompress } from 'hyparquet-writer/src/snappy.js'
import type { ClusterPixels } from './kernels/cluster-pixels.ts'
import { packConstant, packDeltas, packIndices, pageBytesAtMost } from './page-encodings.ts'

export const pixelColumns = [
  { column: 'event', unit: '', meaning: 'event number within the run', storage: 'INT32' },
  { column: 'camera', unit: '', meaning: 'camera index', storage: 'INT32' },
  { column: 'cluster', unit: '', meaning: 'rank of the cluster in the image', storage: 'INT32' },
  { column: 'x_px', unit: 'px', meaning: 'column of the stored frame', storage: 'INT32' },
  { column: 'y_px', unit: 'px', meaning: 'row of the stored frame', storage: 'INT32' },
  {
    column: 'counts',
    unit: 'counts',
    meaning: 'above pedestal, vignetting corrected, rounded to 0.1, may be negative',
    storage: 'FLOAT',
  },
] as const

export const pixelSchema: SchemaElement[] = [
  { name: 'root', num_children: pixelColumns.length },
  ...pixelColumns.map(({ column, storage }) => ({
    name: column,
    type: storage,
    repetition_type: 'REQUIRED' as const,
  })),
]

/** Column chunks of one row group, in the order of `pixelColumns`; no chunks without pixels. */
export interface PixelPages {
  pixels: number
  chunks: PixelChunk[]
}

interface PixelChunk {
  bytes: Uint8Array<ArrayBuffer>
  /** Where the data page begins: behind the dictionary, if there is one. */
  dataOffset: number
  uncompressedBytes: number
  encodings: Encoding[]
}

export function encodePixelPages(event: number, camera: number, pixels: ClusterPixels): PixelPages {
  const count = pixels.x.length
  if (count === 0) return { pixels: 0, chunks: [] }
  if (scratch.page.length < pageBytesAtMost(count)) scratch.page = new Uint8Array(2 * pageBytesAtMost(count))
  const { page } = scratch
  const packed = [
    () => packConstant(event, count, page),
    () => packConstant(camera, count, page),
    () => packDeltas(pixels.cluster, page),
    () => packDeltas(pixels.x, page),
    () => packDeltas(pixels.y, page),
  ]
  const chunks = packed.map((pack, index) => encodeChunk(index, count, 'DELTA_BINARY_PACKED', pack))
  const counts = pixelColumns.length - 1
  const found = dictionaryOf(pixels.counts)
  chunks.push(
    found !== undefined && pays(found.dictionary.length, count)
      ? encodeChunk(
          counts,
          count,
          'RLE_DICTIONARY',
          () => packIndices(found.indices, found.dictionary.length, page),
          found.dictionary,
        )
      : encodePlain(counts, pixels.counts),
  )
  return { pixels: count, chunks }
}

/** Of this thread, used again for each image. */
const scratch = { page: new Uint8Array(0), indices: new Int32Array(0), placeOf: new Int32Array(0) }

/** A dictionary and the bits of its indices against four bytes a pixel. */
function pays(values: number, pixels: number): boolean {
  return 4 * values + (pixels * Math.ceil(Math.log2(values + 1))) / 8 < 3 * pixels
}

const columnOf = (index: number) => ({
  columnName: pixelColumns[index]!.column,
  element: pixelSchema[index + 1]!,
  schemaPath: [pixelSchema[0]!, pixelSchema[index + 1]!],
  codec: 'SNAPPY' as const,
  compressors: { SNAPPY: snappyCompress },
  stats: false,
  pageSize: 0,
  columnIndex: false,
  offsetIndex: false,
})

/** `pack` writes the page to the scratch memory and returns its size. */
function encodeChunk(
  index: number,
  count: number,
  encoding: Encoding,
  pack: () => number,
  dictionary?: Float32Array,
): PixelChunk {
  const writer = new ByteWriter()
  let uncompressedBytes = dictionary === undefined ? 0 : writeDictionaryPage(writer, columnOf(index), dictionary)
  const dataOffset = writer.offset
  const pageBytes = pack()
  const compressed = snappyCompress(scratch.page.subarray(0, pageBytes))
  writePageHeader(writer, {
    type: 'DATA_PAGE_V2',
    uncompressed_page_size: pageBytes,
    compressed_page_size: compressed.length,
    data_page_header_v2: {
      num_values: count,
      num_nulls: 0,
      num_rows: count,
      encoding,
      definition_levels_byte_length: 0,
      repetition_levels_byte_length: 0,
      is_compressed: true,
    },
  })
  uncompressedBytes += writer.offset - dataOffset + pageBytes
  writer.appendBytes(compressed)
  const encodings: Encoding[] = dictionary === undefined ? [encoding] : ['PLAIN', encoding]
  return { bytes: new Uint8Array(writer.getBytes()), dataOffset, uncompressedBytes, encodings }
}

function encodePlain(index: number, values: Float32Array): PixelChunk {
  const writer = new ByteWriter()
  const pageData = { values, definitionLevels: [], repetitionLevels: [], maxDefinitionLevel: 0 }
  const uncompressedBytes = writeDataPageV2({ writer, column: columnOf(index), encoding: 'PLAIN', pageData })
  return { bytes: new Uint8Array(writer.getBytes()), dataOffset: 0, uncompressedBytes, encodings: ['PLAIN'] }
}

/** Tenths of a count that the dictionary can tell apart: -6 553.6 to 98 303.9 counts. */
const lowestTenth = -65_536
const tenths = 1 << 20

/** The different values in the order of their first appearance and the place of each, until the next call; undefined if one is no tenth. */
function dictionaryOf(values: Float32Array): { dictionary: Float32Array; indices: Int32Array } | undefined {
  if (scratch.placeOf.length === 0) scratch.placeOf = new Int32Array(tenths)
  if (scratch.indices.length < values.length) scratch.indices = new Int32Array(2 * values.length)
  const { indices, placeOf } = scratch
  const dictionary: number[] = []
  const keys: number[] = []
  let sound = true
  for (let at = 0; at < values.length; at++) {
    const value = values[at]!
    const key = Math.floor(value * 10 + 0.5) - lowestTenth
    sound = key >= 0 && key < tenths
    if (!sound) break
    let place = placeOf[key]!
    if (place === 0) {
      // Such as stand in the dictionary are tenths.
      sound = Math.fround((key + lowestTenth) / 10) === value
      if (!sound) break
      place = dictionary.push(value)
      keys.push(key)
      placeOf[key] = place
    } else if (dictionary[place - 1] !== value) {
      sound = false
      break
    }
    indices[at] = place - 1
  }
  for (const key of keys) placeOf[key] = 0
  return sound ? { dictionary: Float32Array.from(dictionary), indices: indices.subarray(0, values.length) } : undefined
}

/** The metadata of a chunk that begins at a byte of the file. */
export function chunkMetadata(index: number, pixels: number, chunk: PixelChunk, fileOffset: number): ColumnChunk {
  const { column, storage } = pixelColumns[index]!
  const { bytes, dataOffset, uncompressedBytes, encodings } = chunk
  return {
    meta_data: {
      type: storage,
      encodings,
      path_in_schema: [column],
      codec: 'SNAPPY',
      num_values: BigInt(pixels),
      total_compressed_size: BigInt(bytes.length),
      total_uncompressed_size: BigInt(uncompressedBytes),
      data_page_offset: BigInt(fileOffset + dataOffset),
      ...(dataOffset > 0 && { dictionary_page_offset: BigInt(fileOffset) }),
    },
    file_offset: BigInt(fileOffset),
  }
}
