{{/* Names, labels and image references, said once. */}}

{{- define "voice-operator.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" -}}
{{- end -}}

{{/* 52 characters leave room for the suffixes that some objects add. */}}
{{- define "voice-operator.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "voice-operator.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* Cluster-scoped objects carry the namespace, so that two releases of the same name never fight over one. */}}
{{- define "voice-operator.clusterName" -}}
{{- printf "%s:%s" .Release.Namespace (include "voice-operator.fullname" .) -}}
{{- end -}}

{{- define "voice-operator.selectorLabels" -}}
app.kubernetes.io/name: {{ include "voice-operator.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: operator
{{- end -}}

{{- define "voice-operator.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "voice-operator.selectorLabels" . }}
app.kubernetes.io/part-of: voice-operator
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{- define "voice-operator.serviceAccountName" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "voice-operator.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{/*
An image reference. Call with (dict "root" $ "image" .Values.images.operator). A whole reference wins over its parts,
and a digest over a tag.
*/}}
{{- define "voice-operator.image" -}}
{{- if .image.ref -}}
{{- .image.ref -}}
{{- else -}}
{{- $images := .root.Values.images -}}
{{- $name := .image.repository -}}
{{- if $images.registry -}}{{- $name = printf "%s/%s" (trimSuffix "/" $images.registry) $name -}}{{- end -}}
{{- if .image.digest -}}
{{- printf "%s@%s" $name .image.digest -}}
{{- else -}}
{{- printf "%s:%s" $name (.image.tag | default $images.tag | default .root.Chart.AppVersion) -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{/* The ids of pods as JSON. Helm takes a value away that is null, so an absent one is null again; without a user there are none. */}}
{{- define "voice-operator.podIds" -}}
{{- $given := .Values.podSecurity -}}
{{- $ids := dict "runAsUser" nil "runAsGroup" nil "fsGroup" nil -}}
{{- if not (kindIs "invalid" $given.runAsUser) -}}
{{- range $name, $id := $given -}}{{- $_ := set $ids $name $id -}}{{- end -}}
{{- end -}}
{{- toJson $ids -}}
{{- end -}}

{{/* File mode of mounted Secrets: without a group for volumes everybody in the pod, which is one user, reads them. */}}
{{- define "voice-operator.secretMode" -}}
{{- ternary "0444" "0440" (kindIs "invalid" (get (include "voice-operator.podIds" . | fromJson) "fsGroup")) -}}
{{- end -}}

{{/* What is added to pods: the values named `pod`, of all stages, of each, of servers. As a list in JSON. */}}
{{- define "voice-operator.pods" -}}
{{- $stages := .Values.stages -}}
{{- compact (list $stages.pod $stages.prepare.pod $stages.train.pod $stages.evaluate.pod .Values.inference.pod) | toJson -}}
{{- end -}}

{{/* The volumes that are added to pods, those of bases and of the recogniser among them. As a list in JSON. */}}
{{- define "voice-operator.addedVolumes" -}}
{{- $volumes := list -}}
{{- range include "voice-operator.pods" . | fromJsonArray -}}
{{- $volumes = concat $volumes (.volumes | default list) (dig "patch" "spec" "volumes" list .) -}}
{{- end -}}
{{- range .Values.bases -}}{{- with .volume -}}{{- $volumes = append $volumes . -}}{{- end -}}{{- end -}}
{{- with .Values.recogniser.volume -}}{{- $volumes = append $volumes . -}}{{- end -}}
{{- toJson $volumes -}}
{{- end -}}

{{/* The containers that are added to pods. As a list in JSON. */}}
{{- define "voice-operator.addedContainers" -}}
{{- $containers := list -}}
{{- range include "voice-operator.pods" . | fromJsonArray -}}
{{- $containers = concat $containers (.initContainers | default list) (dig "patch" "spec" "initContainers" list .) -}}
{{- end -}}
{{- toJson $containers -}}
{{- end -}}

{{/* The Secret that holds the object store's keys, under the same name in every namespace that needs it; empty: there is none. */}}
{{- define "voice-operator.storageSecretName" -}}
{{- $storage := .Values.storage -}}
{{- if $storage.existingSecret -}}
{{- $storage.existingSecret -}}
{{- else if or $storage.accessKey $storage.secretKey $storage.sessionToken -}}
{{- printf "%s-s3" (include "voice-operator.fullname" .) -}}
{{- end -}}
{{- end -}}

{{/* The namespaces with voices or servers that the values name, the release's own among them, one per line. */}}
{{- define "voice-operator.storageNamespaces" -}}
{{- prepend .Values.storage.secretNamespaces .Release.Namespace | uniq | sortAlpha | join "\n" -}}
{{- end -}}

{{/* Where the operator finds the authorities of the store's certificate. */}}
{{- define "voice-operator.caFile" -}}/etc/voice-operator-ca/ca.crt{{- end -}}
{{- define "voice-operator.inferenceCaFile" -}}/etc/voice-operator-inference-ca/ca.crt{{- end -}}

{{/* Where the operator finds the store's keys, as files. */}}
{{- define "voice-operator.keysFolder" -}}/etc/voice-store{{- end -}}

{{/* What is reached without the proxy: everything inside the cluster, the node's own services, and what the values name. */}}
{{- define "voice-operator.noProxy" -}}
{{- concat (list "localhost" "127.0.0.1" "::1" ".svc" ".cluster.local" "169.254.169.254" "169.254.170.23") .Values.proxy.noProxy | uniq | join "," -}}
{{- end -}}

{{/*
Where the store is and through which proxy, as the operator's own environment; it writes the same into its children
(voice_operator.settings). Empty ones are left out: a Secret made for an earlier version of this chart may have them.
*/}}
{{- define "voice-operator.storageEnvironment" -}}
{{- with trimSuffix "/" .Values.storage.endpoint }}
- {name: AWS_ENDPOINT_URL_S3, value: {{ . | quote }}}
{{- end }}
{{- with .Values.storage.region }}
- {name: AWS_REGION, value: {{ . | quote }}}
{{- end }}
{{- if ne .Values.storage.addressing "auto" }}
- {name: VOICE_S3_ADDRESSING, value: {{ .Values.storage.addressing | quote }}}
{{- end }}
{{- if include "voice-operator.storageSecretName" . }}
- {name: VOICE_S3_CREDENTIALS_DIR, value: {{ include "voice-operator.keysFolder" . | quote }}}
{{- end }}
{{- if .Values.storage.caConfigMap }}
- {name: AWS_CA_BUNDLE, value: {{ include "voice-operator.caFile" . | quote }}}
{{- end }}
{{- with .Values.proxy.http }}
- {name: HTTP_PROXY, value: {{ . | quote }}}
{{- end }}
{{- with .Values.proxy.https }}
- {name: HTTPS_PROXY, value: {{ . | quote }}}
{{- end }}
{{- if or .Values.proxy.http .Values.proxy.https }}
# The API server is reached by its address, which only the kubelet knows.
- {name: NO_PROXY, value: {{ printf "%s,$(KUBERNETES_SERVICE_HOST)" (include "voice-operator.noProxy" .) | quote }}}
{{- end }}
{{- end -}}

{{- define "voice-operator.stagesServiceAccountName" -}}
{{- $account := .Values.stages.serviceAccount -}}
{{- if $account.name -}}{{- $account.name -}}
{{- else if $account.create -}}{{- printf "%s-stages" (include "voice-operator.fullname" .) -}}{{- end -}}
{{- end -}}

{{- define "voice-operator.inferenceServiceAccountName" -}}
{{- $account := .Values.inference.serviceAccount -}}
{{- if $account.name -}}{{- $account.name -}}
{{- else if $account.create -}}{{- printf "%s-inference" (include "voice-operator.fullname" .) -}}{{- end -}}
{{- end -}}

{{/* The base of the voices that name none. */}}
{{- define "voice-operator.defaultBase" -}}
{{- if not (hasKey .Values.bases .Values.defaultBase) -}}
{{- fail (printf "defaultBase is %q, which is not in bases (%s)" .Values.defaultBase (keys .Values.bases | sortAlpha | join ", ")) -}}
{{- end -}}
{{- .Values.defaultBase -}}
{{- end -}}

{{/* The base of the chart's VoiceServer. */}}
{{- define "voice-operator.servingBase" -}}
{{- .Values.serving.base | default (include "voice-operator.defaultBase" .) -}}
{{- end -}}

{{/* Where pods reach the operator; without the cluster domain, which differs between clusters. */}}
{{- define "voice-operator.url" -}}
{{- printf "http://%s.%s.svc:%d" (include "voice-operator.fullname" .) .Release.Namespace (int .Values.service.port) -}}
{{- end -}}

{{/* The namespaces the operator may work in, one per line; empty means all of them. */}}
{{- define "voice-operator.namespaces" -}}
{{- if .Values.watchNamespaces -}}
{{- prepend .Values.watchNamespaces .Release.Namespace | uniq | sortAlpha | join "\n" -}}
{{- end -}}
{{- end -}}

{{/* The spec of the default VoiceServer, which the operator makes; what does not fit the other values is refused here. */}}
{{- define "voice-operator.serverSpec" -}}
{{- if not (hasKey .Values.bases (include "voice-operator.servingBase" .)) }}
{{- fail (printf "serving.base is %q, which is not in bases (%s)" (include "voice-operator.servingBase" .) (keys .Values.bases | sortAlpha | join ", ")) }}
{{- end }}
{{- if eq .Values.serving.name (include "voice-operator.fullname" .) }}
{{- fail (printf "serving.name is %q, the name of the operator's own Deployment and Service: choose another" .Values.serving.name) }}
{{- end }}
{{- $most := .Values.policy.max.replicas }}
{{- range $field, $number := dict "replicas" .Values.serving.replicas "autoscaling.maxReplicas" .Values.serving.autoscaling.maxReplicas }}
{{- if and (hasKey $.Values.policy.max "replicas") (gt (int $number) (int $most)) }}
{{- fail (printf "serving.%s is %d, but policy.max.replicas allows %d: lower the one or raise the other" $field (int $number) (int $most)) }}
{{- end }}
{{- end }}
{{- with .Values.policy.serverNamePattern }}
{{- if not (regexMatch (printf "^(%s)$" .) $.Values.serving.name) }}
{{- fail (printf "serving.name is %q, which policy.serverNamePattern (%s) does not match: let it, or choose another name" $.Values.serving.name .) }}
{{- end }}
{{- end }}
base: {{ include "voice-operator.servingBase" . }}
{{- if not (kindIs "invalid" .Values.serving.replicas) }}
replicas: {{ .Values.serving.replicas }}
{{- end }}
allowedNamespaces: {{ toJson .Values.serving.allowedNamespaces }}
maxVoices: {{ .Values.serving.maxVoices }}
zeroWithoutVoices: {{ .Values.serving.zeroWithoutVoices }}
{{- with .Values.serving.autoscaling }}
autoscaling:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.serving.keysSecret }}
keysSecret: {{ . }}
{{- end }}
{{- with .Values.serving.tlsSecret }}
tlsSecret: {{ . }}
{{- end }}
{{- with .Values.serving.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{/* The port that inference pods listen on. */}}
{{- define "voice-operator.inferencePort" -}}8080{{- end -}}
