// Runs a Jenkinsfile with its shared library in groovy-cps, the engine of Jenkins' pipelines: every closure is transformed, and
// what a build holds must be serializable. The steps do what Jenkins' do on this machine; stages run in their order.
// Arguments: the folder that holds the library as voice-operator@main. Variables: BRANCH_NAME, CHANGE_TARGET, ANSWER,
// GIT_PREVIOUS_SUCCESSFUL_COMMIT. Lines that jobs print begin with "| ".
import com.cloudbees.groovy.cps.Continuation
import com.cloudbees.groovy.cps.impl.CpsCallableInvocation
import com.lesfurets.jenkins.unit.cps.BasePipelineTestCPS
import static com.lesfurets.jenkins.unit.global.lib.LibraryConfiguration.library
import static com.lesfurets.jenkins.unit.global.lib.LocalSource.localSource

class Build extends BasePipelineTestCPS {
    static final int FOREVER = Integer.MAX_VALUE
    Map<String, String> variables = [:]
    List<Boolean> conditions = []

    void run(String libraries) {
        scriptRoots = ['.'] as String[]
        setUp()
        helper.registerSharedLibrary(library().name('voice-operator').defaultVersion('main').allowOverride(false)
            .implicit(false).targetPath('library').retriever(localSource(libraries)).build())
        // A variable that does not exist is null in `env`, as in Jenkins.
        binding.setVariable('env', new HashMap(System.getenv()))
        binding.setVariable('currentBuild', [:])
        steps()
        declarative()
        runScript('Jenkinsfile')
    }

    void steps() {
        step('sh', [String]) { String script -> shell(script) }
        step('sh', [Map]) { Map options -> shell(options.script, options.returnStdout) }
        step('lock', [Map, Closure]) { Map options, Closure body -> inner(body) }
        step('withEnv', [List, Closure]) { List settings, Closure body ->
            Map before = variables.clone()
            settings.each { String one -> variables[one.takeWhile { it != '=' }] = one.drop(one.indexOf('=') + 1) }
            try { inner(body) } finally { variables = before }
        }
        step('archiveArtifacts', [Map]) { }
        step('error', [String]) { String message -> throw new IllegalStateException(message) }
        step('fileExists', [String]) { String name -> new File(name).exists() }
        step('readFile', [String]) { String name -> new File(name).getText('UTF-8') }
    }

    void declarative() {
        ['pipeline', 'stages', 'options', 'allOf'].each { step(it, [Closure]) { Closure body -> inner(body) } }
        step('agent', [Closure]) { Closure body -> inner(body) }
        step('label', [String]) { }
        step('disableConcurrentBuilds', []) { }
        step('timeout', [Map]) { }
        step('stage', [String, Closure]) { String name, Closure body ->
            conditions = []
            inner(body)
        }
        step('when', [Closure]) { Closure body -> inner(body) }
        step('beforeInput', [Boolean]) { }
        step('branch', [String]) { String name -> conditions << (System.getenv('BRANCH_NAME') == name) }
        step('changeRequest', []) { conditions << (System.getenv('CHANGE_TARGET') != null) }
        step('expression', [Closure]) { Closure body -> conditions << (inner(body) as boolean) }
        step('input', [Closure]) { Closure body -> if (conditions.every()) { inner(body); conditions << (System.getenv('ANSWER') == 'yes') } }
        step('message', [String]) { String question -> println "| asked: $question" }
        step('submitter', [String]) { }
        step('steps', [Closure]) { Closure body -> if (conditions.every()) { inner(body) } }
    }

    void step(String name, List<Class> arguments, Closure body) {
        helper.registerAllowedMethod(name, arguments, body)
    }

    /** Runs the body of a step, whose calls are continuations, to its end. */
    Object inner(Closure body) {
        try {
            return body.call()
        } catch (CpsCallableInvocation called) {
            def outcome = called.invoke(null, null, Continuation.HALT).run(FOREVER)
            if (outcome.abnormal != null) {
                throw outcome.abnormal
            }
            return outcome.normal
        }
    }

    /** Runs a script as the step `sh` does; what it prints is the job's, unless it is returned. */
    String shell(String script, boolean returned = false) {
        ProcessBuilder builder = new ProcessBuilder('sh', '-xe', '-c', script)
        builder.environment().putAll(variables)
        builder.redirectErrorStream(!returned)
        if (returned) {
            builder.redirectError(ProcessBuilder.Redirect.DISCARD)
        }
        Process process = builder.start()
        List<String> lines = process.inputStream.readLines('UTF-8')
        if (!returned) {
            lines.each { println "| $it" }
        }
        if (process.waitFor() != 0) {
            throw new IllegalStateException("script returned exit code ${process.exitValue()}")
        }
        return lines.join('\n')
    }
}

Build build = new Build()
int code = 0
try {
    build.run(args[0])
} catch (Throwable failed) {
    Throwable reason = failed
    while (reason.cause != null) { reason = reason.cause }
    println "ERROR: ${reason.message ?: reason}"
    if (!(reason instanceof IllegalStateException)) { failed.printStackTrace(System.out) }
    code = 1
}
println "description: ${build.binding.getVariable('currentBuild').description}"
System.exit(code)
