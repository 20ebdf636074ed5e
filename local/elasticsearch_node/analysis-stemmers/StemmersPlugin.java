package movies.local.stemmers;

import java.util.Map;
import java.util.function.UnaryOperator;
import org.apache.lucene.analysis.TokenStream;
import org.apache.lucene.analysis.en.EnglishPossessiveFilter;
import org.apache.lucene.analysis.en.PorterStemFilter;
import org.apache.lucene.analysis.snowball.SnowballFilter;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.index.IndexSettings;
import org.elasticsearch.index.analysis.TokenFilterFactory;
import org.elasticsearch.indices.analysis.AnalysisModule.AnalysisProvider;
import org.elasticsearch.plugins.AnalysisPlugin;
import org.elasticsearch.plugins.Plugin;
import org.tartarus.snowball.ext.RussianStemmer;

/**
 * The token filter {@code stemmer} for the languages that the index of films uses.
 *
 * <p>Elasticsearch's own one lives in the module analysis-common, which is not published as a library;
 * the filters behind these three names are the same Lucene classes.
 */
public final class StemmersPlugin extends Plugin implements AnalysisPlugin {
    @Override
    public Map<String, AnalysisProvider<TokenFilterFactory>> getTokenFilters() {
        return Map.of("stemmer", AnalysisPlugin.requiresAnalysisSettings(StemmerFactory::new));
    }

    private static final class StemmerFactory implements TokenFilterFactory {
        private final String name;
        private final UnaryOperator<TokenStream> filter;

        StemmerFactory(IndexSettings index, Environment environment, String name, Settings settings) {
            this.name = name;
            this.filter = filter(settings.get("language", settings.get("name", "english")));
        }

        @Override
        public String name() {
            return name;
        }

        @Override
        public TokenStream create(TokenStream tokens) {
            return filter.apply(tokens);
        }

        private static UnaryOperator<TokenStream> filter(String language) {
            return switch (language) {
                case "english" -> PorterStemFilter::new;
                case "possessive_english" -> EnglishPossessiveFilter::new;
                case "russian" -> tokens -> new SnowballFilter(tokens, new RussianStemmer());
                default -> throw new IllegalArgumentException(
                    "the local node's token filter [stemmer] knows the languages english, "
                        + "possessive_english and russian, not [" + language + "]");
            };
        }
    }
}
