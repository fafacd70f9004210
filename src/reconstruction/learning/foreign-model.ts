/**
 * Models of somebody else in the ONNX format, run by onnxruntime's WebAssembly build. The model takes one float32 input
 * [clusters, 9], the features in the order of `recoilFeatures`, not normalised, and gives either one score per cluster
 * or probabilities of classes, of which the first is the nuclear recoil; of several outputs the last float one counts.
 */
import type { InferenceSession, Tensor } from 'onnxruntime-web'
import type { Cluster } from '../contract.ts'
import { reconstructionFaults } from '../errors.ts'
import { featuresOf, recoilFeatures } from './recoil-features.ts'

export interface ForeignModel {
  /** Scores of clusters, in their order. Throws `badModel` where the model gives something else than scores. */
  score(clusters: readonly Cluster[]): Promise<Float64Array>
  close(): Promise<void>
}

const mostModelBytes = 256 * 1024 * 1024

/** Throws `badModel` for bytes that are no such model. */
export async function openForeignModel(bytes: Uint8Array, name: string): Promise<ForeignModel> {
  if (bytes.length > mostModelBytes)
    throw reconstructionFaults.badModel(`${name} has ${bytes.length} bytes; at most ${mostModelBytes} are taken.`)
  const onnx = await import('onnxruntime-web/wasm')
  onnx.env.wasm.numThreads = 1
  onnx.env.logLevel = 'error'
  const bad = (what: string, cause?: unknown) =>
    reconstructionFaults.badModel(`${name} ${what}.`, {
      ...(cause === undefined ? {} : { cause }),
      hint: `It must take one input of ${recoilFeatures.length} floats per cluster and give a score or class probabilities.`,
    })
  let session: InferenceSession
  try {
    session = await onnx.InferenceSession.create(bytes)
  } catch (cause) {
    throw bad(`is no ONNX model that can be run (${String(cause)})`, cause)
  }
  const [input, ...others] = session.inputNames
  if (input === undefined || others.length > 0) throw bad(`takes ${session.inputNames.length} inputs`)
  return {
    async score(clusters) {
      if (clusters.length === 0) return new Float64Array(0)
      const width = recoilFeatures.length
      const values = new Float32Array(clusters.length * width)
      clusters.forEach((cluster, row) => values.set(featuresOf(cluster, recoilFeatures), row * width))
      let outputs: Readonly<Record<string, Tensor>>
      try {
        outputs = (await session.run({
          [input]: new onnx.Tensor('float32', values, [clusters.length, width]),
        })) as Readonly<Record<string, Tensor>>
      } catch (cause) {
        throw bad(`does not run on ${width} features (${String(cause)})`, cause)
      }
      const scores = session.outputNames.map((one) => outputs[one]).findLast((one) => one?.type === 'float32')
      const data = scores?.data
      const classes = data instanceof Float32Array ? data.length / clusters.length : 0
      if (!(data instanceof Float32Array) || !Number.isInteger(classes) || classes < 1)
        throw bad('gives no score for each cluster')
      return Float64Array.from(clusters, (_, row) => data[row * classes]!)
    },
    close: () => session.release(),
  }
}
