package movies.local;

import java.nio.file.Path;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CountDownLatch;
import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.InternalSettingsPreparer;
import org.elasticsearch.node.Node;
import org.elasticsearch.plugins.PluginsLoader;

/**
 * Starts one Elasticsearch node in this process: {@code java movies.local.LocalNode HOME MODULES}.
 *
 * <p>Settings are read from HOME/config/elasticsearch.yml, plugins from the folders in MODULES. The
 * stock main class wants the distribution's folders and refuses to run as root; this one does not.
 */
public final class LocalNode {
    private LocalNode() {}

    public static void main(String[] arguments) throws Exception {
        Path home = Path.of(arguments[0]);
        Settings paths = Settings.builder().put("path.home", home.toString()).build();
        LogConfigurator.setNodeName("local");
        LogConfigurator.configureWithoutConfig(paths);
        Environment environment =
            InternalSettingsPreparer.prepareEnvironment(
                paths, Map.of(), home.resolve("config"), () -> "local");
        PluginsLoader plugins =
            PluginsLoader.createPluginsLoader(
                PluginsLoader.loadModulesBundles(Path.of(arguments[1])), Set.of(), Map.of(), false);
        Node node = new Node(environment, plugins);
        CountDownLatch stopped = new CountDownLatch(1);
        Runtime.getRuntime().addShutdownHook(new Thread(() -> close(node, stopped), "close-node"));
        node.start();
        stopped.await();
    }

    private static void close(Node node, CountDownLatch stopped) {
        try {
            node.close();
        } catch (Exception error) {
            error.printStackTrace();
        } finally {
            stopped.countDown();
        }
    }
}
