package movies.tests.role;

import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import org.elasticsearch.ElasticsearchSecurityException;
import org.elasticsearch.action.ActionListener;
import org.elasticsearch.action.ActionRequest;
import org.elasticsearch.action.ActionResponse;
import org.elasticsearch.action.IndicesRequest;
import org.elasticsearch.action.admin.indices.create.CreateIndexRequest;
import org.elasticsearch.action.support.ActionFilter;
import org.elasticsearch.action.support.ActionFilterChain;
import org.elasticsearch.common.regex.Regex;
import org.elasticsearch.common.util.concurrent.ThreadContext;
import org.elasticsearch.plugins.ActionPlugin;
import org.elasticsearch.plugins.Plugin;
import org.elasticsearch.rest.RestHeaderDefinition;
import org.elasticsearch.rest.RestStatus;
import org.elasticsearch.tasks.Task;

/**
 * Decides as Elasticsearch's own security does: an action is granted when its name matches a pattern of
 * one of the role's privileges, and, unless it is the cluster's, each index that it names one of the
 * role's names.
 *
 * <p>The header {@code x-role} has three lists, separated by spaces: patterns of the cluster's actions, of
 * the indices' actions, and of the indices' names. A request without it may do everything.
 */
public final class RolePlugin extends Plugin implements ActionPlugin {
    private static final String HEADER = "x-role";
    private static final String ALIASES = "indices:admin/aliases";
    private static final String[] OF_THE_CLUSTER = {
        "cluster:*", "indices:admin/template/*", "indices:admin/index_template/*"
    };
    private ThreadContext context;

    @Override
    public Collection<?> createComponents(PluginServices services) {
        context = services.threadPool().getThreadContext();
        return List.of();
    }

    @Override
    public Collection<RestHeaderDefinition> getRestHeaders() {
        return List.of(new RestHeaderDefinition(HEADER, false));
    }

    @Override
    public List<ActionFilter> getActionFilters() {
        return List.of(new Guard());
    }

    private final class Guard implements ActionFilter {
        @Override
        public int order() {
            return 0;
        }

        @Override
        public <Request extends ActionRequest, Response extends ActionResponse> void apply(
            Task task,
            String action,
            Request request,
            ActionListener<Response> listener,
            ActionFilterChain<Request, Response> chain
        ) {
            String role = context.getHeader(HEADER);
            String refused = role == null ? null : refused(role.split(" "), action, request);
            if (refused == null) {
                chain.proceed(task, action, request, listener);
            } else {
                listener.onFailure(
                    new ElasticsearchSecurityException(
                        "action [" + refused + "] is unauthorized for this role", RestStatus.FORBIDDEN
                    )
                );
            }
        }

        /** Returns the action that the role does not grant, null when it grants all that is asked. */
        private String refused(String[] role, String action, ActionRequest request) {
            if (Regex.simpleMatch(OF_THE_CLUSTER, action)) {
                return matches(role[0], action) ? null : action;
            }
            boolean named = request instanceof IndicesRequest indices
                && indices.indices() != null
                && Arrays.stream(indices.indices()).anyMatch(name -> matches(role[2], name) == false);
            if (named || matches(role[1], action) == false) {
                return action;
            }
            boolean aliased = request instanceof CreateIndexRequest made && made.aliases().isEmpty() == false;
            return aliased && matches(role[1], ALIASES) == false ? ALIASES : null;
        }

        private boolean matches(String patterns, String text) {
            return Regex.simpleMatch(patterns.split(","), text);
        }
    }
}
