/** The CRD flashsales.flashsale.dev, made of the schemas of spec and status. */
import { z } from 'zod';
import { statusSchema } from '../status.ts';
import { rulesOf } from './cel.ts';
import { label, specSchema } from './flashsale.ts';
import * as rules from './rules.ts';
import { structural } from './structural.ts';

/** What `kubectl get fsale` shows. */
const COLUMNS = [
  ['Phase', 'string', '.status.phase', 'Where the sale is in its life.'],
  ['Opens', 'string', '.spec.opensAt', 'When the sale opens.'],
  ['Stock', 'integer', '.status.summary.stock', 'Units put on sale.'],
  ['Sold', 'integer', '.status.summary.sold', 'Units that are paid.'],
  ['Lag', 'integer', '.status.summary.lag', 'Records still to be consumed.'],
  ['Ready', 'string', '.status.summary.ready', 'Replicas that are Ready, of those asked for.'],
  ['Age', 'date', '.metadata.creationTimestamp', 'Time since the resource was created.'],
] as const;

/** The schema of the whole resource. Releases of the operator differ in what they write, so no part of status is required. */
function schema(): object {
  return {
    description: 'A sale of limited stock that opens at an instant.',
    type: 'object',
    required: ['spec'],
    properties: {
      apiVersion: { description: 'flashsale.dev/v1', type: 'string' },
      kind: { description: 'FlashSale', type: 'string' },
      metadata: { type: 'object', properties: { name: structural(label.describe('The name of the sale.')) } },
      spec: structural(specSchema.describe('What is sold, when, and what is prepared for it.')),
      status: structural(z.strictObject(statusSchema.shape).partial().describe('What the operator found and did.')),
    },
    ...rulesOf(...rules.CHANGES),
  };
}

export function customResourceDefinition(): object {
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'flashsales.flashsale.dev' },
    spec: {
      group: 'flashsale.dev',
      scope: 'Namespaced',
      names: {
        kind: 'FlashSale',
        listKind: 'FlashSaleList',
        plural: 'flashsales',
        singular: 'flashsale',
        shortNames: ['fsale'],
        categories: ['all', 'flashsale'],
      },
      versions: [
        {
          name: 'v1',
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: COLUMNS.map(([name, type, jsonPath, description]) => ({
            name,
            type,
            jsonPath,
            description,
          })),
          schema: { openAPIV3Schema: schema() },
        },
      ],
    },
  };
}
