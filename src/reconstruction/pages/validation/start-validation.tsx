/** The wish for a validation, with its options. */
import { Button, Checkbox, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Panel, Problem, apiOf, useMay } from '../../../foundation/browser.tsx'
import { reconstructionContract, validationOptions } from '../../contract.ts'
import type { Study } from '../../contract.ts'
import { t } from '../messages.ts'

export function StartValidation(props: { experiment: string; onStarted: (study: Study) => void }): ReactNode {
  const { experiment } = props
  const may = useMay()
  const queries = useQueryClient()
  const defaults = validationOptions.parse({})
  const [images, setImages] = useState(String(defaults.images))
  const [seed, setSeed] = useState(String(defaults.seed))
  const [quick, setQuick] = useState(false)
  const options = validationOptions.safeParse({ images: Number(images), seed: Number(seed), quick })
  const wrong = (name: string): string | undefined =>
    options.error?.issues.find(({ path }) => path[0] === name)?.message
  const start = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).startStudy({
        params: { experiment },
        body: { kind: 'validation', options: { images: Number(images), seed: Number(seed), quick } },
      }),
    onSuccess: async (study) => {
      await queries.invalidateQueries({ queryKey: ['reconstruction', 'studies', experiment] })
      props.onStarted(study)
    },
  })
  return (
    <Panel title={t('validation.start')}>
      {!may('reconstruction.run', experiment) ? (
        <p className="cy-quiet">{t('validation.mayNot')}</p>
      ) : (
        <form
          className="cy-filters"
          onSubmit={(event) => {
            event.preventDefault()
            if (options.success) start.mutate()
          }}
        >
          <TextInput
            size="xs"
            label={t('validation.images')}
            description={t('validation.imagesHint')}
            inputMode="numeric"
            value={images}
            error={wrong('images')}
            onChange={(event) => setImages(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            label={t('validation.seed')}
            inputMode="numeric"
            value={seed}
            error={wrong('seed')}
            onChange={(event) => setSeed(event.currentTarget.value)}
          />
          <Checkbox
            size="xs"
            label={t('validation.quick')}
            checked={quick}
            onChange={(event) => setQuick(event.currentTarget.checked)}
          />
          <Button size="xs" type="submit" loading={start.isPending} disabled={!options.success}>
            {t('validation.go')}
          </Button>
        </form>
      )}
      {start.error !== null && <Problem error={start.error} />}
    </Panel>
  )
}
