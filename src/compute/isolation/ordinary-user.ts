/** What the tests ask for, done by a process that is not root: `node ordinary-user.ts FOLDER probe|trees [COUNT]`. */
import { openStand, probe } from './stand.ts'
import { cutTrees } from './trees.ts'

const [folder = '', wanted = '', count = '4'] = process.argv.slice(2)
const stand = await openStand(folder)
try {
  const { identity, limits } = await stand.compute.sandboxReport()
  const found = wanted === 'probe' ? await probe(stand) : await cutTrees(stand, Number(count))
  process.stdout.write(JSON.stringify({ identity, limits, found }))
} finally {
  await stand.close()
}
