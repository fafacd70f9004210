/** The notebook behind 'Open in notebook': one run's image and clusters, read as a file and by S3. */
import { code, notebookOf, text } from './notebook-cells.ts'

export function starterPath(run: string): string {
  const [series = '', number = ''] = run.split(':')
  return `runs/${series}-${number.padStart(5, '0')}.ipynb`
}

export function starterNotebook(run: string, experiment: string): unknown {
  const cells = [
    text('intro', [
      `# Run ${run} of ${experiment}`,
      '',
      'Its image and the tracks found on it. This notebook is yours: change it, it is written only once.',
    ]),
    code('open', ['import cygnet', '', `exp = cygnet.open("${experiment}")`, `run = exp.run("${run}")`, 'run']),
    text('image-text', [
      'The raw file is a plain file under `/data` and an object in S3 at the same time. Both ways give the same pixels:',
    ]),
    code('image', [
      'image = run.image(0, via="file")',
      'same = run.image(0, via="s3")',
      'assert (image == same).all()',
      'print(image.shape, image.dtype, "mean %.2f counts" % image.mean())',
    ]),
    code('clusters', ['clusters = run.clusters()', 'print(len(clusters), "clusters in the run")', 'clusters[:5]']),
    text('plot-text', ['The image with the outlines of its clusters (counts, 95 to 130 shown):']),
    code('plot', ['run.show(0);']),
  ]
  return notebookOf(cells)
}
