// A step of a shared library: pushes the voices that commits changed (ci/README.md).
//   voicePush(namespace: 'studio', base: env.GIT_PREVIOUS_SUCCESSFUL_COMMIT, datasets: 's3://voices/datasets/{namespace}')
def call(Map options) {
    if (!options.namespace) {
        error 'voicePush: namespace is missing'
    }
    List<String> settings = [
        "VOICES=${options.voices ?: 'voices'}",
        "NAMESPACE=${options.namespace}",
        "BASE=${options.base ?: '0'}",
        "HEAD=${options.head ?: 'HEAD'}",
        "VOICE_DATASETS=${options.datasets ?: ''}",
        "TIMEOUT=${options.timeout ?: 14400}",
        "MODE=${options.dryRun ? '--dry-run' : '--wait'}",
        "ERASE=${options.eraseDeleted ? '--erase-deleted' : ''}",
        "REPORTS=${options.dryRun ? '' : '--reports voices-reports'}",
    ]
    // One push at a time; values reach the shell as variables and never as text of the script.
    lock(resource: "voices-${options.namespace}") {
        withEnv(settings) {
            try {
                sh 'voice push --changed "$BASE..$HEAD" "$VOICES" -n "$NAMESPACE" $MODE --timeout "$TIMEOUT" $ERASE $REPORTS --summary voices.md'
            } finally {
                archiveArtifacts artifacts: 'voices.md, voices-reports/*', allowEmptyArchive: true
                if (fileExists('voices.md')) { // its heading counts the voices by state
                    currentBuild.description = readFile('voices.md').readLines().first().replace('### ', '')
                }
            }
        }
    }
}
