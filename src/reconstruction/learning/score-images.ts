/** A model looks at the clusters of a run: the last step before they are written. */
import { readFile } from 'node:fs/promises'
import type { ImageRows } from '../products.ts'
import { openForeignModel } from './foreign-model.ts'
import { parseRecoilModel, recoilPredictor } from './recoil-model.ts'

export interface ModelFile {
  path: string
  /** As people know it: 'default' or the key of an object. */
  name: string
}

/** The model that comes with the program. */
export const shippedModelPath = new URL('./default-recoil-model.json', import.meta.url).pathname

/**
 * Fills score, learned energy and depth of the selected clusters. A foreign model (.onnx) gives the score, the shipped
 * one energy and depth. Throws `badModel` for a file that is none.
 */
export async function scoreImages(images: readonly ImageRows[], { path, name }: ModelFile): Promise<void> {
  const isForeign = path.endsWith('.onnx')
  const predict = recoilPredictor(
    parseRecoilModel(await readFile(isForeign ? shippedModelPath : path, 'utf8'), isForeign ? 'default' : name),
  )
  for (const image of images) for (const cluster of image.clusters) Object.assign(cluster, predict(cluster))
  if (!isForeign) return
  const model = await openForeignModel(await readFile(path), name)
  try {
    for (const { clusters } of images) {
      const selected = clusters.filter((cluster) => cluster.selected)
      const scores = await model.score(selected)
      selected.forEach((cluster, index) => (cluster.recoilScore = scores[index]!))
    }
  } finally {
    await model.close()
  }
}
