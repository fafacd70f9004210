/**
 * scikit-learn's DBSCAN in a Python process, for comparing labels on the same points. Points go in and labels come out
 * as binary blocks, one image at a time.
 */
import { spawn, spawnSync } from 'node:child_process'
import type { ChildProcessByStdio } from 'node:child_process'
import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import type { KeptPoints } from './kept-points.ts'

const program = `
import sys, struct, time
import numpy as np
from sklearn.cluster import DBSCAN
source, sink = sys.stdin.buffer, sys.stdout.buffer
while True:
    head = source.read(24)
    if len(head) < 24: break
    count, eps, least = struct.unpack('<qdq', head)
    x = np.frombuffer(source.read(4 * count), '<i4'); y = np.frombuffer(source.read(4 * count), '<i4')
    w = np.frombuffer(source.read(4 * count), '<i4')
    begin = time.perf_counter()
    labels = DBSCAN(eps=eps, min_samples=least, metric='cityblock').fit(np.column_stack([y, x]), sample_weight=w).labels_ if count else np.zeros(0, 'i4')
    took = (time.perf_counter() - begin) * 1000
    sink.write(struct.pack('<d', took) + labels.astype('<i4').tobytes()); sink.flush()
`

export interface LabelPeer {
  /** 'scikit-learn 1.5.2, Python 3.11' */
  version: string
  labels(points: KeptPoints, radius: number, minimumWeight: number): Promise<{ labels: Int32Array; ms: number }>
  close(): void
}

/** A peer, or why there is none. */
export function openLabelPeer(python: string | undefined): LabelPeer | { missing: string } {
  const path = python ?? 'python3'
  const question = 'import sys, sklearn; print(f"scikit-learn {sklearn.__version__}, Python {sys.version.split()[0]}")'
  const asked = spawnSync(path, ['-c', question], { encoding: 'utf8', timeout: 60_000 })
  if (asked.error !== undefined) return { missing: `${path} cannot be started (${asked.error.message})` }
  if (asked.status !== 0) return { missing: `${path} has no scikit-learn` }
  const child = spawn(path, ['-c', program], { stdio: ['pipe', 'pipe', 'inherit'] })
  const reader = readerOf(child)
  return {
    version: asked.stdout.trim(),
    async labels({ x, y, weight }, radius, minimumWeight) {
      const head = Buffer.alloc(24)
      head.writeBigInt64LE(BigInt(x.length), 0)
      head.writeDoubleLE(radius, 8)
      head.writeBigInt64LE(BigInt(minimumWeight), 16)
      for (const part of [head, bytesOf(x), bytesOf(y), bytesOf(weight)]) {
        if (!child.stdin.write(part)) await once(child.stdin, 'drain')
      }
      const ms = (await reader(8)).readDoubleLE(0)
      const labels = await reader(4 * x.length)
      return { labels: new Int32Array(new Uint8Array(labels).buffer), ms }
    },
    close: () => void child.kill(),
  }
}

const bytesOf = (values: Int32Array) => Buffer.from(values.buffer, values.byteOffset, values.byteLength)

/** Reads exactly so many bytes of the child's output; rejects when it ends before. */
function readerOf(child: ChildProcessByStdio<Writable, Readable, null>): (sizeBytes: number) => Promise<Buffer> {
  let held: Buffer = Buffer.alloc(0)
  let ended = false
  let wake = () => {}
  child.stdout.on('data', (chunk: Buffer) => {
    held = held.length === 0 ? chunk : Buffer.concat([held, chunk])
    wake()
  })
  const end = () => {
    ended = true
    wake()
  }
  child.on('exit', end)
  child.on('error', end)
  child.stdin.on('error', end)
  return async (sizeBytes) => {
    while (held.length < sizeBytes) {
      if (ended) throw new Error('the Python process ended')
      await new Promise<void>((resume) => (wake = resume))
    }
    const part = held.subarray(0, sizeBytes)
    held = held.subarray(sizeBytes)
    return part
  }
}
