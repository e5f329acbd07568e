import java.util.Arrays;
import org.codelibs.opensearch.runner.OpenSearchRunner;

/** One OpenSearch node that lives until SIGTERM: java -cp 'lib/*' OpenSearchNode.java FOLDER HTTP_PORT [setting=value ...] */
public class OpenSearchNode {
    public static void main(String[] arguments) throws Exception {
        OpenSearchRunner runner = new OpenSearchRunner();
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(runner)));
        runner.onBuild((number, settings) -> {
            settings.put("network.host", "127.0.0.1");
            settings.put("http.port", arguments[1]);
            Arrays.stream(arguments).skip(2).map(pair -> pair.split("=", 2)).forEach(pair -> settings.put(pair[0], pair[1]));
        });
        runner.build(OpenSearchRunner.newConfigs().basePath(arguments[0]).clusterName("wef-tests").numOfNode(1).useLogger());
        Thread.currentThread().join();
    }

    private static void close(OpenSearchRunner runner) {
        try {
            runner.close();
        } catch (Exception failed) {
            failed.printStackTrace();
        }
    }
}
