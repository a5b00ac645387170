{{/* The operator's configuration, as voice_operator.settings reads it; that reader refuses keys that it does not know. */}}
{{- define "voice-operator.config" -}}
{{- $images := .Values.images -}}
images:
  trainer: {{ include "voice-operator.image" (dict "root" $ "image" $images.trainer) | quote }}
  inference: {{ include "voice-operator.image" (dict "root" $ "image" $images.inference) | quote }}
  pullPolicy: {{ $images.pullPolicy }}
  pullSecrets: {{ toJson $images.pullSecrets }}
bases:
  {{- toYaml .Values.bases | nindent 2 }}
{{- if .Values.recogniser.uri }}
recogniser:
  {{- toYaml .Values.recogniser | nindent 2 }}
{{- end }}
defaultBase: {{ include "voice-operator.defaultBase" . | quote }}
storage:
  uri: {{ .Values.storage.uri | quote }}
  endpoint: {{ .Values.storage.endpoint | quote }}
  region: {{ .Values.storage.region | quote }}
  addressing: {{ .Values.storage.addressing }}
  {{- if .Values.storage.caConfigMap }}
  caFile: {{ include "voice-operator.caFile" . }}
  {{- end }}
  secretName: {{ include "voice-operator.storageSecretName" . | quote }}
  sessionKeys: {{ toJson .Values.storage.sessionKeys }}
proxy:
  http: {{ .Values.proxy.http | quote }}
  https: {{ .Values.proxy.https | quote }}
  noProxy: {{ include "voice-operator.noProxy" . | quote }}
podSecurity: {{ include "voice-operator.podIds" . }}
stages:
  serviceAccountName: {{ include "voice-operator.stagesServiceAccountName" . | quote }}
  {{- toYaml (omit .Values.stages "serviceAccount") | nindent 2 }}
inference:
  port: {{ include "voice-operator.inferencePort" . }}
  serviceAccountName: {{ include "voice-operator.inferenceServiceAccountName" . | quote }}
  {{- if .Values.inference.caConfigMap }}
  caFile: {{ include "voice-operator.inferenceCaFile" . }}
  {{- end }}
  {{- toYaml (omit .Values.inference "serviceAccount" "caConfigMap") | nindent 2 }}
{{- if .Values.serving.create }}
defaultServer:
  namespace: {{ .Release.Namespace | quote }}
  name: {{ .Values.serving.name | quote }}
  spec:
    {{- include "voice-operator.serverSpec" . | trim | nindent 4 }}
{{- end }}
podDisruptionBudget: {{ toJson .Values.podDisruptionBudget }}
tenancy:
  {{- toYaml .Values.tenancy | nindent 2 }}
policy:
  {{- toYaml (omit .Values.policy "admission") | nindent 2 }}
alerts:
  consentExpiryDays: {{ .Values.alerts.consentExpiryDays }}
  targets:
    {{- include "voice-operator.alertTargets" . | nindent 4 }}
audit:
  {{- toYaml .Values.audit | nindent 2 }}
kueue: {{ toJson .Values.kueue }}
hub:
  {{- toYaml .Values.hub | nindent 2 }}
watchNamespaces: {{ include "voice-operator.namespaces" . | splitList "\n" | compact | toJson }}
operatorUrl: {{ include "voice-operator.url" . | quote }}
workers: {{ .Values.operator.workers }}
resyncSeconds: {{ .Values.operator.resyncSeconds }}
leaseName: {{ include "voice-operator.fullname" . }}
signingKeySecret: {{ include "voice-operator.fullname" . }}-signing-key
revocationsSecret: {{ include "voice-operator.fullname" . }}-revocations
maxConcurrentTrainings: {{ .Values.operator.maxConcurrentTrainings }}
{{- end -}}

{{/* The targets of alerts; what Secrets hold is a file for the operator, mounted below this folder. */}}
{{- define "voice-operator.alertsFolder" -}}/etc/voice-operator-alerts{{- end -}}
{{- define "voice-operator.alertTargets" -}}
{{- $targets := list -}}
{{- $names := list -}}
{{- range .Values.alerts.targets -}}
{{- if has .name $names -}}
{{- fail (printf "alerts.targets: %s is there twice; names must be unique" .name) -}}
{{- end -}}
{{- $names = append $names .name -}}
{{- $target := omit . "urlSecret" "hmacSecret" -}}
{{- $folder := printf "%s/%s" (include "voice-operator.alertsFolder" $) .name -}}
{{- if .urlSecret -}}{{- $_ := set $target "urlFile" (printf "%s/url" $folder) -}}{{- end -}}
{{- if .hmacSecret -}}{{- $_ := set $target "hmacFile" (printf "%s/hmac" $folder) -}}{{- end -}}
{{- $targets = append $targets $target -}}
{{- end -}}
{{- toYaml $targets -}}
{{- end -}}

{{/* The keys of Secrets that targets name, as files; optional, so that a missing one costs a target and not the operator. */}}
{{- define "voice-operator.alertFiles" -}}
{{- range $target := .Values.alerts.targets }}
{{- range $file, $secret := dict "url" $target.urlSecret "hmac" $target.hmacSecret }}
{{- with $secret }}
- secret:
    name: {{ .name }}
    optional: true
    items:
      - {key: {{ .key | quote }}, path: {{ $target.name }}/{{ $file }}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}
