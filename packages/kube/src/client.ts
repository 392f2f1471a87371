/** The client with the official client's KubeConfig, which knows every form of credentials; it takes some 50 MB to load. */
import { KubeConfig } from '@kubernetes/client-node';

export { createKubeClient, type KubeClient, type KubeClientOptions } from './api.ts';
export { KubeConfig };

/** KUBECONFIG, ~/.kube/config, or the service account of the pod, in this order. */
export function loadKubeConfig(): KubeConfig {
  const config = new KubeConfig();
  config.loadFromDefault();
  return config;
}
